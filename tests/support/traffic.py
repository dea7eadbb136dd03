"""Mixed traffic of people through the gateway, every response checked, none forgotten.

Four kinds of clients work at a steady rate: readers ask content for what is public and
what is theirs, sessions refresh and look at themselves, newcomers sign up, and leavers
sign in and out. What was acknowledged is kept, and `losses` tells at the end what of it
did not last.
"""

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

CONTENT: Final = "content"
IDENTITY: Final = "identity"
OK: Final = "ok"

_CLIENT_SECONDS: Final = 20.0
"""How long a person waits; longer than anything is frozen."""

_AGAIN_SECONDS: Final = 0.25
"""When somebody whose request failed tries again."""

READERS: Final = 12
SESSIONS: Final = 12


@dataclass(frozen=True)
class Rates:
    """Requests a second, each kind of clients together."""

    reads: float = 84
    sessions: float = 12
    newcomers: float = 2
    leavers: float = 2


class Request(NamedTuple):
    """One request, as the client saw it."""

    service: str
    began_at: float
    seconds: float
    outcome: str
    """``ok``, or what was wrong."""


class UnexpectedError(Exception):
    """A response that is not the expected one."""


@dataclass
class Person:
    """Somebody with an account."""

    name: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @property
    def credentials(self) -> dict[str, str]:
        return {"username": self.name, "password": self.password}


class Traffic:
    """Traffic that runs, and its record; an async context manager."""

    def __init__(self, base_url: str, rates: Rates | None = None) -> None:
        self._base_url = base_url
        self._rates = rates or Rates()
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = itertools.count()
        self.requests: list[Request] = []
        self.signed_up: list[Person] = []
        """Those who were told that they have an account."""
        self.signed_out: list[str] = []
        """Refresh tokens of sessions whose end was acknowledged."""
        self.ended: list[str] = []
        """Sessions that ended though nobody ended them."""

    async def __aenter__(self) -> Self:
        self._http = ClientSession(
            self._base_url,
            timeout=ClientTimeout(total=_CLIENT_SECONDS),
            cookie_jar=DummyCookieJar(),
        )
        await self._http.__aenter__()
        first = [await self._until_signed_up() for _ in range(SESSIONS)]
        pairs = [await self._pair(person) for person in first]
        rates = self._rates
        for number, pair in enumerate(pairs):
            # Readers use the tokens of those who refresh: they stay good.
            holder = {"token": pair["accessToken"]}
            session = self._session(first[number], pair["refreshToken"], holder)
            self._spawn(self._paced(session, SESSIONS / rates.sessions))
            self._spawn(self._paced(self._reader(holder), READERS / rates.reads))
        self._spawn(self._paced(self._newcomers(), 1 / rates.newcomers))
        self._spawn(self._paced(self._leavers(first), 2 / rates.leavers))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._http.close()

    async def stop(self) -> None:
        """End all clients; what is in flight is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()):
                raise error
        self._tasks = []

    def _spawn(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def losses(self) -> list[str]:
        """Return what was acknowledged and is not so; ended sessions, too."""
        found = [f"{name}'s session ended" for name in self.ended]
        for person in self.signed_up:
            outcome = await self._lasting(lambda p=person: self._pair(p))  # type: ignore[misc]
            if outcome != OK:
                found.append(f"{person.name} cannot sign in: {outcome}")
        for token in self.signed_out:
            body = {"refreshToken": token}
            outcome = await self._lasting(
                lambda b=body: self._post("/api/auth/refreshtoken", b)  # type: ignore[misc]
            )
            if not refuses(outcome):
                found.append(f"a session that was ended: {outcome}")
        return found

    async def _lasting(self, step: Callable[[], Awaitable[Any]]) -> str:
        """Return how a step ends once the services answer."""
        limit = time.monotonic() + _CLIENT_SECONDS
        while True:
            outcome = await self._recorded("check", step)
            if outcome == OK or refuses(outcome) or time.monotonic() > limit:
                return outcome
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _paced(self, steps: AsyncIterator[str], seconds: float) -> None:
        """Have one step done after the other, at most one in so many seconds."""
        async for outcome in steps:
            await asyncio.sleep(seconds if outcome == OK else _AGAIN_SECONDS)

    async def _reader(self, holder: dict[str, str]) -> AsyncIterator[str]:
        resources = [
            ("/api/test/all", "Public Content."),
            ("/api/test/user", "User Content."),
        ]
        for path, expected in itertools.cycle(resources):

            async def read(path: str = path, expected: str = expected) -> None:
                text = await self._get(path, holder["token"])
                if text != expected:
                    raise UnexpectedError("another body")

            yield await self._recorded(CONTENT, read)

    async def _session(
        self, person: Person, token: str, holder: dict[str, str]
    ) -> AsyncIterator[str]:
        """Refresh again and again; a request that failed is sent once more."""
        pair = {"refreshToken": token}

        async def refresh() -> None:
            body = {"refreshToken": pair["refreshToken"]}
            pair.update(await self._post("/api/auth/refreshtoken", body))
            holder["token"] = pair["accessToken"]

        async def look() -> None:
            await self._get("/api/users/me", holder["token"])

        while True:
            outcome = await self._recorded(IDENTITY, refresh)
            if refuses(outcome):
                self.ended.append(person.name)
                return
            yield outcome
            yield await self._recorded(IDENTITY, look)

    async def _newcomers(self) -> AsyncIterator[str]:
        while True:
            person = self._new_person()
            outcome = await self._recorded(IDENTITY, lambda p=person: self._sign_up(p))  # type: ignore[misc]
            if outcome == OK:
                self.signed_up.append(person)
            yield outcome

    async def _leavers(self, people: list[Person]) -> AsyncIterator[str]:
        """Sign in and out again, for those who have other sessions, too."""
        for person in itertools.cycle(people):
            pair: dict[str, Any] = {}

            async def sign_in(p: Person = person, pair: Any = pair) -> None:  # noqa: ANN401 - parsed JSON
                pair.update(await self._pair(p))

            outcome = await self._recorded(IDENTITY, sign_in)
            yield outcome
            if outcome != OK:
                continue
            body = {"refreshToken": pair["refreshToken"]}

            async def sign_out(body: dict[str, str] = body) -> None:
                await self._post("/api/auth/signout", body)

            outcome = await self._recorded(IDENTITY, sign_out)
            if outcome == OK:
                self.signed_out.append(body["refreshToken"])
            yield outcome

    async def _recorded(self, service: str, step: Callable[[], Awaitable[Any]]) -> str:
        began_at = time.monotonic()
        outcome = OK
        try:
            await step()
        except UnexpectedError as error:
            outcome = str(error)
        except (ClientError, OSError, TimeoutError) as error:
            outcome = type(error).__name__
        seconds = time.monotonic() - began_at
        self.requests.append(Request(service, began_at, seconds, outcome))
        return outcome

    def _new_person(self) -> Person:
        return Person(f"person-{next(self._numbers)}-{secrets.token_hex(4)}")

    async def _until_signed_up(self) -> Person:
        person = self._new_person()
        await self._sign_up(person)
        self.signed_up.append(person)
        return person

    async def _sign_up(self, person: Person) -> None:
        email = f"{person.name}@example.org"
        await self._post("/api/auth/signup", {**person.credentials, "email": email})

    async def _pair(self, person: Person) -> dict[str, Any]:
        return await self._post("/api/auth/signin", person.credentials)

    async def _get(self, path: str, token: str) -> str:
        headers = {"x-access-token": token}
        async with self._http.get(path, headers=headers) as response:
            return await _text(response)

    async def _post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        async with self._http.post(path, json=body) as response:
            await _text(response)
            found: dict[str, Any] = await response.json()
            return found


def refuses(outcome: str) -> bool:
    """Whether a response says that somebody is not signed in."""
    return outcome.startswith(("status 401", "status 403"))


async def _text(response: Any) -> str:  # noqa: ANN401 - aiohttp's
    text: str = await response.text()
    if response.status == 200:
        return text
    code = ""
    if response.content_type == "application/problem+json":
        code = json.loads(text).get("code", "")
    raise UnexpectedError(f"status {response.status} {code}".rstrip())
