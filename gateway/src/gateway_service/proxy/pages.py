"""The page for people who open the gateway in a browser."""

from html import escape
from typing import Final

from gateway_service.config.model import Config

PAGE_LINES: Final = (
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\n"
    b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none';"
    b" base-uri 'none'; form-action 'none'\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Cross-Origin-Resource-Policy: same-origin\r\n"
    b"Cross-Origin-Opener-Policy: same-origin\r\n"
)

_TO_TRY: Final = (
    ("GET", "/api/test/all", "open to everybody"),
    ("POST", "/api/auth/signup", "make an account"),
    ("POST", "/api/auth/signin", "get a token pair"),
    ("GET", "/api/test/user", "needs a token"),
    ("GET", "/.well-known/jwks.json", "the keys that tokens are verified with"),
)


def start_page(config: Config) -> bytes:
    """Return the page that says what runs here and which addresses to try."""
    routes = "".join(
        f"<tr><td><code>{escape(route.prefix)}</code></td>"
        f"<td>{escape(route.upstream)}</td></tr>"
        for route in config.routes
    )
    tries = "".join(
        f"<li>{method} <a href='{path}'><code>{path}</code></a>: {what}</li>"
        if method == "GET"
        else f"<li>{method} <code>{path}</code>: {what}</li>"
        for method, path, what in _TO_TRY
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        "<title>Gateway</title>"
        "<h1>The gateway is running</h1>"
        "<p>It passes requests to the services behind it.</p>"
        f"<h2>Addresses to try</h2><ul>{tries}</ul>"
        "<h2>Routes</h2><table><thead><tr><th>path</th><th>service</th></tr></thead>"
        f"<tbody>{routes}</tbody></table></html>\n"
    ).encode()
