"""Answers whose octets are there before they are asked for."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

from service_kit.errors import SECURITY_HEADERS
from service_kit.request_id import HEADER, request_id


class ReadyText:
    """A text that is answered to all alike, but for the date and the request id."""

    def __init__(self, text: str, headers: Mapping[str, str]) -> None:
        self.body: Final = text.encode()
        self.headers: Final = {
            hdrs.CONTENT_TYPE: "text/plain; charset=utf-8",
            **headers,
            **SECURITY_HEADERS,
        }
        self._made_at = 0
        self._head = ""

    def octets(self) -> bytes:
        """Return the whole answer to a GET that leaves its connection open."""
        now = int(time.time())
        if now != self._made_at:
            self._head, self._made_at = self._head_at(now), now
        return f"{self._head}{request_id.get()}\r\n\r\n".encode() + self.body

    def _head_at(self, now: int) -> str:
        """Return the head as far as the request id, whose line is the last one."""
        fields = {
            **self.headers,
            hdrs.CONTENT_LENGTH: str(len(self.body)),
            hdrs.DATE: formatdate(now, usegmt=True),
            hdrs.SERVER: SERVER_SOFTWARE,
        }
        lines = [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join(["HTTP/1.1 200 OK", *lines, f"{HEADER}: "])


class ReadyResponse(web.Response):
    """An answer that is written as it stands where that is possible.

    For HEAD, HTTP/1.0 and a connection that is to be closed, aiohttp makes the same
    answer in its own way.
    """

    def __init__(self, text: ReadyText) -> None:
        super().__init__()
        self._text = text
        self._is_written = False

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open; None before that is known."""
        return True if self._is_written else super().keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send everything at once, or the head alone if aiohttp must make it."""
        if (
            request.method == hdrs.METH_GET
            and request.version == HttpVersion11
            and request.keep_alive
            and super().keep_alive is None
        ):
            await request.writer.write_eof(self._text.octets())
            self._is_written = True
            return request.writer
        self.headers.update(self._text.headers)
        self.headers[HEADER] = request_id.get()
        self.body = self._text.body
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send what is left to be sent."""
        if not self._is_written:
            await super().write_eof(data)
