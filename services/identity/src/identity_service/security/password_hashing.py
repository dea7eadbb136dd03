"""Password hashes: made and checked off the event loop, few at a time.

Stored form: ``$hmac-sha384$<pepper id>$2b$12$…``, that is
``bcrypt(base64(HMAC-SHA-384(pepper, NFC password)))``. The HMAC makes any length fit
bcrypt's 72 bytes and keeps a stolen table useless without the pepper; base64 keeps NUL
out. Plain ``$2a$``, ``$2b$`` and ``$2y$`` hashes of other systems are checked too.
"""

import asyncio
import base64
import contextlib
import hmac
import math
import os
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

import bcrypt

from identity_service.domain.accounts.passwords import PASSWORD_MAX_LENGTH, normalise
from identity_service.domain.errors import IdentityError
from identity_service.domain.limits.sources import networks_of
from identity_service.domain.sessions.sessions import OPERATOR, Device
from identity_service.security.cores import CORES
from identity_service.security.fair_turns import FairTurns, NoRoomError
from identity_service.security.keyrings import Keyring, SecretKey
from identity_service.security.timed_work import TimedWork

T = TypeVar("T")

BCRYPT_MAX_BYTES: Final = 72
"""bcrypt reads no more of a password; other implementations cut there in silence."""

COSTS: Final = range(4, 17)
"""Costs that are worked on. A stored cost of 20 would hold a core for a minute."""

QUEUE_LENGTH: Final = 64
"""Hashes that may wait: some 7 s on two cores at cost 12, and a burst of 50 fits."""

WORKER_NICENESS: Final = 3
"""On top of the process's own, so that light requests need not wait for hashes.

A greater one starves the hashes beside busy programs (docs/decisions/0033).
"""

_PEPPERED: Final = re.compile(
    r"\$hmac-sha384\$(?P<pepper>[0-9a-f]{8})(?P<hash>\$2b\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53})",
    re.ASCII,
)
_PLAIN: Final = re.compile(
    r"(?P<hash>\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53})", re.ASCII
)
_SPENT_SALT: Final = b"." * 22
"""Salt of work that is done for its duration only."""


class HashingBusyError(IdentityError):
    """Too many hashes wait already; ``retry_after`` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many password hashes wait")
        self.retry_after = retry_after


class Verdict(Enum):
    """What became of a password check."""

    MATCH = "match"
    MATCH_OUTDATED = "match_outdated"
    """Right; hash it again, because the stored form is outdated."""
    MISMATCH = "mismatch"
    MALFORMED_HASH = "malformed_hash"
    """The stored hash is not one of ours: refuse, and log an error."""
    UNKNOWN_PEPPER = "unknown_pepper"
    """Made with a pepper that is no longer configured: refuse, and log an error."""

    @property
    def matches(self) -> bool:
        """Whether the password is right."""
        return self in {Verdict.MATCH, Verdict.MATCH_OUTDATED}


@dataclass(frozen=True, slots=True)
class _StoredHash:
    bcrypt_hash: bytes
    cost: int
    pepper_id: str | None


class PasswordHasher:
    """Hashes and checks passwords in a pool of threads with a bounded, fair queue.

    bcrypt releases the GIL, so one thread per core uses them all. A hash whose client
    hangs up before its turn is not made.
    """

    def __init__(
        self,
        peppers: Keyring,
        *,
        cost: int,
        workers: int | None = None,
        queue_length: int = QUEUE_LENGTH,
    ) -> None:
        if cost not in COSTS:
            raise ValueError(f"bcrypt cost is not in {COSTS}")
        self._peppers = peppers
        self._cost = cost
        self._workers = workers or CORES
        self._pool = ThreadPoolExecutor(
            self._workers, "password-hashing", initializer=_yield_to_others
        )
        self.turns = FairTurns(self._workers, queue_length)
        """Who makes hashes, and who waits for that."""
        self.work = TimedWork()

    def expect_room(self, device: Device = OPERATOR) -> None:
        """Return if a hash for this device may wait: who may not learns it first.

        Raises `HashingBusyError`.
        """
        if not self.turns.has_room(networks_of(device.address)):
            raise self._busy()

    async def hash(self, password: str, device: Device = OPERATOR) -> str:
        """Return the form to store, of a password that the policy has accepted.

        Raises `HashingBusyError`: when the queue is full, and no network has more in it
        than the device's.
        """
        return await self._run(lambda: self._hash(password), device)

    async def verify(
        self, untrusted_password: str, stored: str | None, device: Device = OPERATOR
    ) -> Verdict:
        """Check a password against the stored hash, or against a dummy.

        With nothing stored the verdict is a mismatch that takes as long as a real one.
        No text of either argument raises.

        Raises `HashingBusyError`: when the queue is full, and no network has more in it
        than the device's.
        """
        return await self._run(lambda: self._verify(untrusted_password, stored), device)

    def close(self) -> None:
        """Drop what waits; what is being hashed ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, job: Callable[[], T], device: Device) -> T:
        try:
            await self.turns.take(networks_of(device.address))
        except NoRoomError:
            raise self._busy() from None
        if device.is_gone():
            self.turns.pass_on()
            raise self._busy()
        try:
            future: Future[T] = self._pool.submit(self.work.timed, job)
        except RuntimeError:
            self.turns.pass_on()
            raise
        # The job ends the turn, not its waiter: a hash that runs cannot be stopped.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: self._end_turn(loop))
        return await asyncio.wrap_future(future)

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self.turns.pass_on)

    def _busy(self) -> HashingBusyError:
        """Return the error of one that is not made; a full queue has drained then."""
        self.work.refused += 1
        seconds = self.work.seconds_of_last * self.turns.room / self._workers
        return HashingBusyError(max(1, math.ceil(seconds)))

    def _hash(self, password: str) -> str:
        pepper = self._peppers.first
        hashed = bcrypt.hashpw(_peppered(pepper, password), bcrypt.gensalt(self._cost))
        return f"$hmac-sha384${pepper.id}{hashed.decode()}"

    def _verify(self, password: str, stored: str | None) -> Verdict:
        parsed = _parse(stored) if stored is not None else None
        if parsed is None or not _is_hashable(password):
            self._spend(self._cost)
            is_malformed = stored is not None and parsed is None
            return Verdict.MALFORMED_HASH if is_malformed else Verdict.MISMATCH
        if parsed.pepper_id is None:
            material, is_current = _plain(password), False
        else:
            pepper = self._peppers.get(parsed.pepper_id)
            if pepper is None:
                self._spend(self._cost)
                return Verdict.UNKNOWN_PEPPER
            material = _peppered(pepper, password)
            is_current = pepper is self._peppers.first and parsed.cost >= self._cost
        try:
            is_right = bcrypt.checkpw(material, parsed.bcrypt_hash)
        except ValueError:
            self._spend(self._cost)
            return Verdict.MALFORMED_HASH
        if is_right:
            return Verdict.MATCH if is_current else Verdict.MATCH_OUTDATED
        # 2**c + 2**c + 2**(c+1) + … + 2**(C-1) = 2**C: a mismatch of a cheap hash takes
        # as long as one of today's cost, which is what an unknown user takes.
        for cost in range(parsed.cost, self._cost):
            self._spend(cost)
        return Verdict.MISMATCH

    @staticmethod
    def _spend(cost: int) -> None:
        """Take as long as a hash of that cost."""
        bcrypt.hashpw(b"", b"$2b$%02d$" % cost + _SPENT_SALT)


def _parse(stored: str) -> _StoredHash | None:
    found = _PEPPERED.fullmatch(stored) or _PLAIN.fullmatch(stored)
    if found is None or int(found["cost"]) not in COSTS:
        return None
    return _StoredHash(
        found["hash"].encode(), int(found["cost"]), found.groupdict().get("pepper")
    )


def is_readable_hash(stored: str, peppers: Keyring) -> bool:
    """Return whether a `PasswordHasher` with these peppers could check this hash."""
    parsed = _parse(stored)
    if parsed is None:
        return False
    return parsed.pepper_id is None or peppers.get(parsed.pepper_id) is not None


def _is_hashable(password: str) -> bool:
    """Return whether this can be a password at all."""
    if len(password) > PASSWORD_MAX_LENGTH:
        return False
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


def _peppered(pepper: SecretKey, password: str) -> bytes:
    mac = hmac.digest(pepper.secret, normalise(password).encode(), "sha384")
    return base64.b64encode(mac)


def _plain(password: str) -> bytes:
    """Return what the system that made a plain hash gave to bcrypt.

    It hashed what was typed, and its bcrypt read 72 bytes of that.
    """
    return password.encode()[:BCRYPT_MAX_BYTES]


def _yield_to_others() -> None:
    if not sys.platform.startswith("linux") or not hasattr(os, "setpriority"):
        return  # elsewhere threads have no priority of their own
    # Added to the process's own, since one that runs with a greater may not lower it.
    niceness = os.getpriority(os.PRIO_PROCESS, os.getpid()) + WORKER_NICENESS
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
