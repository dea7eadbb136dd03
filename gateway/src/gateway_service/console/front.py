"""The front page: what runs here, and what to try first."""

from html import escape
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import Final

from gateway_service.config.model import Config
from gateway_service.console.pages import HTML, Page

_TEMPLATE: Final = Template(
    files(__package__).joinpath("front.html").read_text("utf-8")
)
_VERSION: Final = version("gateway-service")


def front_page(config: Config) -> Page:
    """Return the page at ``/``."""
    routes = "\n".join(
        f"<tr><th scope='row'><code>{escape(route.prefix)}</code></th>"
        f"<td data-name='Service'>{escape(route.upstream)}</td></tr>"
        for route in config.routes
    )
    body = _TEMPLATE.substitute(
        greeting="Gatehouse is running", version=_VERSION, routes=routes
    )
    return Page.of(body.encode(), HTML)
