"""Send the letters in the outbox. Any number of processes may do so concurrently."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from identity_service.domain.accounts.emails import in_ascii
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    TooManyAttemptsError,
)
from identity_service.domain.mail import (
    LONGEST_RETRY,
    LetterDeferredError,
    LetterRefusedError,
    MailServerUnavailableError,
    StoredLetter,
)
from identity_service.mail.delivery import Deliver, delivery_to
from identity_service.mail.messages import MessageWriter
from identity_service.mail.servers import MailServer
from identity_service.security.keyrings import SealBrokenError
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.mail.requests import MailRequestHandlers
from service_kit.clock import Clock

_PAUSE_SECONDS: Final = 1.0
"""Between two polls of the outbox, while it is empty."""

_LONGEST_PAUSE_SECONDS: Final = 30.0
"""While the mail server is away: pauses double up to this."""

_COUNT_SECONDS: Final = 15.0
"""From one count of the outbox to the next."""

_BATCH: Final = 20
"""Letters sent over one connection, and requests handled before."""

CLAIMED_FOR: Final = timedelta(seconds=45)
"""Longer than delivery takes: if the process dies meanwhile, another one sends it."""

FIRST_RETRY: Final = timedelta(seconds=5)
MOST_ATTEMPTS: Final = 20
"""A letter that the server defers is tried again after 5 s, 10 s, 20 s …, for half a
day. While the server is away altogether, no letter's attempts are counted."""

UNREADABLE_RETRY: Final = timedelta(seconds=30)
READABLE_AFTER: Final = timedelta(days=1)
"""A letter that this process cannot read waits for one that can, and counts no attempt:
while versions or lists of keys differ between replicas, one of the others wrote it."""

_logger: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class MailSender:
    """Sends letters at least once: a letter is removed after delivery."""

    database: Database
    outbox: Outbox
    handlers: MailRequestHandlers
    throttle: Throttle
    place: MailServer | Path
    writer: MessageWriter
    clock: Clock
    sent: int = 0
    failed: int = 0
    """Attempts, of this process."""
    waiting: int = 0
    dead: int = 0
    """Letters in the outbox, as this process last counted them."""
    fault: str | None = None
    """Why the mail server cannot be used, as this process last found."""
    _counted_at: float = -_COUNT_SECONDS

    async def run(self) -> None:
        """Send until cancelled, even after errors."""
        pause = _PAUSE_SECONDS
        while not _is_cancelled():
            try:
                if await self.once():
                    continue
                pause = _PAUSE_SECONDS
            except MailServerUnavailableError as error:
                _logger.warning("mail_server_unavailable", extra={"reason": str(error)})
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except DatabaseUnavailableError:
                pause = _PAUSE_SECONDS
            except Exception:
                _logger.exception("mail_not_sent")
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            if not _is_cancelled():
                await asyncio.sleep(pause)

    async def once(self) -> bool:
        """Handle some requests and send some letters; return whether there were any.

        Raises `MailServerUnavailableError` or `DatabaseUnavailableError`.
        """
        await self._count()
        if not await self.database.read(lambda unit: unit.outbox.has_work()):
            return False
        handled = 0
        while handled < _BATCH and await self._handle_one():
            handled += 1
        due = await self.database.read(lambda unit: unit.outbox.due(_BATCH))
        if due:
            await self._send_all(due)
        return bool(due or handled)

    async def _count(self) -> None:
        """Count the letters for the metrics, now and then."""
        now = time.monotonic()
        if now - self._counted_at >= _COUNT_SECONDS:
            self._counted_at = now
            self.waiting, self.dead = await self.outbox.count()

    async def _handle_one(self) -> bool:
        """Do what the oldest request asks for; drop one that cannot be handled.

        While strangers have had as many mails sent as they may, requests wait.
        """
        try:
            reservation = await self.throttle.reserve_mail_in_all()
        except TooManyAttemptsError:
            return False
        taken: int | None = None
        is_posted: bool | None = False

        async def work(unit: Repositories) -> bool | None:
            nonlocal taken
            found = await unit.outbox.take_request()
            if found is None:
                return None
            taken, request = found
            return await self.handlers[request.kind](unit, request)

        try:
            is_posted = await self.database.write(work)
        except DatabaseUnavailableError:
            raise
        except Exception:
            if (failed := taken) is None:
                raise
            _logger.exception("mail_request_dropped")
            await self.database.write(lambda unit: unit.outbox.remove_request(failed))
        finally:
            if not is_posted:
                await reservation.was_not_tried()
        return is_posted is not None

    async def _send_all(self, due: list[StoredLetter]) -> None:
        is_open = False
        try:
            async with delivery_to(self.place) as deliver:
                is_open, self.fault = True, None
                for letter in due:
                    await self._send(letter, deliver)
        except MailServerUnavailableError as error:
            self.fault = str(error)
            self.failed += not is_open  # else it counts as the letter's attempt
            raise

    async def _send(self, letter: StoredLetter, deliver: Deliver) -> None:
        now = self.clock()
        if not await self.database.write(
            lambda unit: unit.outbox.claim(letter, now + CLAIMED_FOR)
        ):
            return
        try:
            opened = self.outbox.unseal(letter)
        except (SealBrokenError, ValueError) as error:
            await self._leave(letter, f"cannot be read: {type(error).__name__}")
            return
        try:
            message = self.writer.write(opened, letter.id, now)
        except (ValueError, KeyError) as error:
            await self._bury(letter, f"cannot be written: {type(error).__name__}")
            return
        try:
            await deliver(message, in_ascii(opened.to))
        except LetterRefusedError as error:
            await self._bury(letter, str(error))
        except LetterDeferredError as error:
            await self._put_off(letter, str(error))
        except MailServerUnavailableError as error:
            # It may have been taken, so this counts: it is not repeated without end.
            await self._put_off(letter, str(error))
            raise
        else:
            await self.database.write(lambda unit: unit.outbox.remove(letter.id))
            self.sent += 1

    async def _leave(self, letter: StoredLetter, error: str) -> None:
        """Leave a letter to a process that can read it, but not forever."""
        now = self.clock()
        if now - letter.created_at >= READABLE_AFTER:
            await self._bury(letter, error)
            return
        await self.database.write(
            lambda unit: unit.outbox.leave(letter, now + UNREADABLE_RETRY, error)
        )

    async def _put_off(self, letter: StoredLetter, error: str) -> None:
        if letter.attempts + 1 >= MOST_ATTEMPTS:
            await self._bury(letter, error)
            return
        self.failed += 1
        due_at = self.clock() + min(FIRST_RETRY * 2**letter.attempts, LONGEST_RETRY)
        await self.database.write(
            lambda unit: unit.outbox.put_off(letter.id, due_at, error)
        )

    async def _bury(self, letter: StoredLetter, error: str) -> None:
        self.failed += 1
        fields = {"letter": letter.id, "kind": letter.kind, "reason": error}
        _logger.error("mail_given_up", extra=fields)
        await self.database.write(lambda unit: unit.outbox.bury(letter.id, error))


def _is_cancelled() -> bool:
    """Return whether this task is to end: Python 3.11's ``wait_for`` may swallow it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
