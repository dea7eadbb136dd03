"""A small issuer: publishes real keys and lists, well or badly, and counts requests."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web
from tests.support.tokens import LISTS, changed, mint, public_half, sign

from service_kit.tokens import StatusList, public_jwk, status_list_claims

JWKS_PATH: Final = "/.well-known/jwks.json"
LISTS_PATH: Final = "/api/auth/statuslists"
LIST_SIZE: Final = 1 << 12

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Issuer:
    """An HTTP server on a free port; what it says can be changed while it runs."""

    def __init__(self) -> None:
        self.keys = ["first"]
        self.max_age = 300
        self.statuses = StatusList.of_size(LIST_SIZE)
        self.ttl = timedelta(seconds=1)
        self.list_lifetime = timedelta(seconds=900)
        self.list_key = "first"
        self.list_changes: dict[str, Any] = {}
        self.clock_offset = timedelta()
        self.pushes = False
        """Whether a client may wait for a change (RFC 7240)."""
        self.answer_wait: Answer = self._wait
        self.jwks_requests = 0
        self.list_requests = 0
        self.answer_jwks: Answer = self._jwks
        self.answer_list: Answer = self._list
        self.answer_index: Answer = self._index
        self.port = 0
        self._version = 1
        self._change = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def jwks_url(self) -> str:
        return self.url + JWKS_PATH

    @property
    def prefixes(self) -> dict[str, str]:
        """What a verifier is told of where this issuer's lists are fetched."""
        return {LISTS: f"{self.url}{LISTS_PATH}/"}

    def settings(self, prefix: str = "CONTENT_") -> dict[str, str]:
        """Return the environment of a service that trusts this issuer."""
        return {
            f"{prefix}ISSUER": "https://id.example",
            f"{prefix}JWKS_URL": self.jwks_url,
            f"{prefix}STATUS_LIST_URLS": f"{LISTS}={self.url}{LISTS_PATH}/",
        }

    async def __aenter__(self) -> Self:
        for name in self.keys:  # making one takes longer than a verifier waits
            public_half(name)
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin to answer, on the port it had before if it had one."""
        app = web.Application()
        app.router.add_get(JWKS_PATH, self._on_jwks)
        app.router.add_get(LISTS_PATH, self._on_index)
        app.router.add_get(LISTS_PATH + "/{n}", self._on_list)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections, as a process that is gone does."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def revoke(self, idx: int) -> None:
        self.statuses[idx] = 1
        self.changed()

    def changed(self) -> None:
        """Wake those who wait: a key or a status is another one."""
        self._version += 1
        self._change.set()
        self._change = asyncio.Event()

    def list_token(self, n: str = "1") -> str:
        """Return the signed list of that number."""
        now = datetime.now(UTC) + self.clock_offset
        claims = status_list_claims(
            LISTS + n,
            self.statuses,
            issued_at=now,
            expires_at=now + self.list_lifetime,
            ttl=self.ttl,
        )
        kid = public_half(self.list_key).kid
        header = {"alg": "RS256", "kid": kid, "typ": "statuslist+jwt"}
        return sign(header, changed(claims, self.list_changes), self.list_key)

    def mint(self, idx: int = 0, key: str = "first", **claims: object) -> str:
        """Return an access token whose status is the entry ``idx`` of list 1."""
        status = {"status_list": {"idx": idx, "uri": f"{LISTS}1"}}
        members = {"status": status, "jti": f"{idx}-{time.monotonic_ns()}", **claims}
        now = time.time() + self.clock_offset.total_seconds()
        return mint(key=key, claims=members, now=now)

    async def _on_jwks(self, request: web.Request) -> web.StreamResponse:
        self.jwks_requests += 1
        return await self._pushed(request, self.answer_jwks)

    async def _on_list(self, request: web.Request) -> web.StreamResponse:
        self.list_requests += 1
        return await self._pushed(request, self.answer_list)

    async def _pushed(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if not self.pushes:
            return await answer(request)
        if request.headers.get("If-None-Match") == f'"{self._version}"':
            waited = await self.answer_wait(request)
            if waited.status != 200:
                return waited
        response = await answer(request)
        self.apply(response)
        return response

    async def _wait(self, request: web.Request) -> web.StreamResponse:
        seconds = int(request.headers["Prefer"].removeprefix("wait="))
        try:
            await asyncio.wait_for(self._change.wait(), seconds)
        except TimeoutError:
            return self.apply(web.Response(status=304))
        return web.Response()

    def apply(self, response: web.StreamResponse) -> web.StreamResponse:
        """Say that the wait was granted, and what is there now."""
        response.headers["Preference-Applied"] = "wait=25"
        response.headers["ETag"] = f'"{self._version}"'
        return response

    async def _on_index(self, request: web.Request) -> web.StreamResponse:
        return await self.answer_index(request)

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"status_lists": [f"{LISTS}1"]})

    async def _jwks(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"keys": [public_jwk(public_half(name)) for name in self.keys]},
            headers={"Cache-Control": f"public, max-age={self.max_age}"},
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.Response(
            text=self.list_token(request.match_info["n"]),
            content_type="application/statuslist+jwt",
        )


def text_answer(
    text: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    """Return an answer that always says the same."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, headers=headers)

    return answer


def keys_answer(*keys: object) -> Answer:
    """Return an answer that is a JWKS of these members, whatever they are."""
    return text_answer(json.dumps({"keys": keys}))
