"""Static pages: what they are made of, and how they are sent.

A file in ``files/`` is at the same path of the gateway; a folder's ``index.html`` is at
the folder's. Pages are found by their whole path, in memory: no path leads to a disk.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from mmap import mmap
from typing import Final, Self

from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.fields import body_line
from gateway_service.http1.problems import method_not_allowed
from gateway_service.http1.rendering import date_line

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content-Security-Policy: files of this gateway, its API, and nothing inline."""

HTML: Final = "text/html; charset=utf-8"

_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": HTML,
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
}
"""By the end of a file's name."""

PAGE_METHODS: Final = frozenset({"GET", "HEAD"})
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_ETAG_LENGTH: Final = 32
"""Hex digits."""

_PIECE: Final = 65_536
"""Bytes of one write: a client that reads nothing costs no more memory than that, and
one that reads slowly has the send timeout for each."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent."""

    body: bytes | mmap
    etag: bytes
    lines: bytes
    """Header lines, but for Date."""
    translations: Mapping[str, "Page"] = field(default_factory=dict)
    """The same page in other languages."""

    @classmethod
    def of(
        cls,
        body: bytes | mmap,
        media_type: str,
        *,
        policy: str = POLICY,
        language: str | None = None,
    ) -> Self:
        """Return the page with this body; browsers revalidate it at each use.

        With a ``language`` it is one of several, and chosen by Accept-Language.
        """
        etag = f'"{hashlib.sha256(body).hexdigest()[:_ETAG_LENGTH]}"'
        lines = (
            f"Content-Type: {media_type}\r\n"
            f"ETag: {etag}\r\n"
            "Cache-Control: no-cache\r\n"
            f"Content-Security-Policy: {policy}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Referrer-Policy: no-referrer\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
            "Cross-Origin-Opener-Policy: same-origin\r\n"
        )
        if language is not None:
            lines += f"Content-Language: {language}\r\nVary: Accept-Language\r\n"
        return cls(body, etag.encode("ascii"), lines.encode("ascii"))


def send_page(exchange: Exchange, page: Page) -> None:
    """Respond with a page, or with 304 if the client has it (RFC 9110, 13.1.2)."""
    if exchange.request.method not in PAGE_METHODS:
        exchange.send_problem(method_not_allowed(", ".join(sorted(PAGE_METHODS))))
        return
    page = page.translations.get(exchange.language, page)
    lines = page.lines + date_line()
    if _knows(exchange.request.lines, page.etag):
        exchange.respond(_NOT_MODIFIED, lines, b"")
    elif exchange.request.method == "HEAD":
        exchange.respond(_OK, lines, b"", body_line(len(page.body)))
    elif len(page.body) <= _PIECE:
        exchange.respond(_OK, lines, page.body[:])
    else:
        exchange.spawn(partial(_send_in_pieces, exchange, lines, page.body))


async def _send_in_pieces(exchange: Exchange, lines: bytes, body: bytes | mmap) -> None:
    exchange.begin(_OK, lines, len(body))
    for start in range(0, len(body), _PIECE):
        await exchange.send(body[start : start + _PIECE])
    exchange.end()


def _knows(lines: list[bytes], etag: bytes) -> bool:
    """Whether If-None-Match names an ETag, which with its quotes is like no other."""
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"if-none-match" and (
            etag in value or value.strip(b" \t") == b"*"
        ):
            return True
    return False


def _pages_below(folder: Traversable, path: str) -> Iterator[tuple[str, Page]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _pages_below(entry, f"{path}/{entry.name}")
            continue
        page = Page.of(entry.read_bytes(), _MEDIA_TYPES[entry.name.rpartition(".")[2]])
        yield f"{path}/{entry.name}", page
        if entry.name == "index.html":
            yield path, page
            yield f"{path}/", page


FILES: Final[Mapping[str, Page]] = dict(
    _pages_below(files(__package__).joinpath("files"), "")
)
"""The pages that are files, by path; read before anything is served."""
