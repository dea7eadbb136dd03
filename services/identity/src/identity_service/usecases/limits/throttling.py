"""Limits of attempts.

An attempt is reserved before any work is done for it, so that concurrent ones count
like many in turn. The more attempts failed, the longer the wait; nobody is locked out
for good, and never from a device that signed in before (docs/decisions/0032).
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

from identity_service.domain.errors import TooManyAttemptsError
from identity_service.domain.limits.sources import networks_of, site_of
from identity_service.domain.limits.throttling import (
    CHANGES_OF_USER,
    EXPORTS_OF_USER,
    LONGEST_WAIT_OF_NEWCOMERS,
    MAILS_OF_ALL,
    MAILS_OF_NETWORK,
    MAILS_OF_SOURCE,
    MAILS_TO_ADDRESS,
    MAILS_TO_ADDRESS_OF_NETWORK,
    NEWCOMERS_TO_USER,
    REFRESHES_OF_SESSION,
    REFRESHES_OF_SOURCE,
    SECOND_STEPS_OF_NEWCOMER,
    SIGN_INS_OF_NEWCOMER,
    SIGN_INS_OF_SOURCE,
    SIGN_INS_OF_USER,
    SIGN_INS_OF_USER_AT_SITE,
    SIGN_UPS_OF_SOURCE,
    Limit,
)
from identity_service.domain.mail import MailKind
from identity_service.domain.sessions.sessions import Caller
from identity_service.usecases.limits.reservations import (
    AtSuccess,
    Counters,
    Reservation,
)


class Throttle:
    """Refuses attempts that are too frequent.

    Sources are the addresses of clients, as text. A user is named by the key of the
    user name, whether there is such a user or not.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.reached: Counter[str] = Counter()
        """How often an attempt met a limit that was reached, by what it is of."""

    async def reserve_sign_in(
        self,
        username_key: str,
        source: str,
        *,
        known_device: bool = False,
        first_step: str | None = None,
    ) -> Reservation:
        """Count an attempt against the source and the user, before any work for it.

        Every credential is guessed under this one count: password, mailed code, reset
        token, and any second factor. Give the `username_key` of the user whose it is,
        whatever was typed to name them, and call `Reservation.succeeded` once the whole
        sign-in has: knowing one credential of two must not clear the count.

        A known device has a count of its own with its user, which no other source
        can fill, and does not suffer for what else comes from its address. A second
        step names the challenge of its ``first_step``.

        Raises `TooManyAttemptsError`: not now.
        """
        name, site = _digest(username_key), _digest(site_of(source))
        async with self._attempt() as attempt:
            if known_device:
                streak = f"known/{name}/{site}"
                await attempt.take(streak, SIGN_INS_OF_USER, AtSuccess.CLEAR)
            else:
                await attempt.take(
                    f"source/{site}", SIGN_INS_OF_SOURCE, AtSuccess.GIVE_BACK
                )
                await self._reserve_of_stranger(attempt, name, source, first_step)
            await attempt.take(
                f"tries/{name}/{site}", SIGN_INS_OF_USER_AT_SITE, AtSuccess.KEEP
            )
        return attempt

    async def reserve_second_step(
        self, username_key: str, source: str, first_step: str, *, known_device: bool
    ) -> Reservation:
        """Count the second step of a sign-in like an attempt of its own.

        The first one has counted as failed, so as not to reveal whether the password
        was right: when this one succeeds, both are taken back. ``first_step`` names the
        challenge, whose first use shares the newcomer's place that the first step took.

        Raises `TooManyAttemptsError`: not now.
        """
        attempt = await self.reserve_sign_in(
            username_key, source, known_device=known_device, first_step=first_step
        )
        attempt.counts += [
            each for each in attempt.counts if each.at_success is AtSuccess.GIVE_BACK
        ]
        return attempt

    async def reserve_proof(self, username_key: str, caller: Caller) -> Reservation:
        """Count an attempt of a signed-in user to reauthenticate.

        It counts at its site as a known device's does, and with its session wherever
        that is used: the thief of a token must not guess from site after site. The
        reservation of a right proof is returned, and earlier failures stay counted: no
        credential pays for guesses at another.

        Raises `TooManyAttemptsError`: not now.
        """
        attempt = await self.reserve_sign_in(
            username_key, caller.device.address, known_device=True
        )
        attempt.keep_streak()
        streak = f"proof/{_digest(caller.session_id)}"
        async with attempt:
            await attempt.take(streak, SIGN_INS_OF_USER, AtSuccess.GIVE_BACK)
        return attempt

    async def forget_failures(self, username_key: str, source: str) -> None:
        """End a user's streaks of failures, as a sign-in from the source would."""
        name = _digest(username_key)
        site, network = _digest(site_of(source)), _digest(networks_of(source)[0])
        for streak, limits in (
            (f"account/{name}", SIGN_INS_OF_USER),
            (f"known/{name}/{site}", SIGN_INS_OF_USER),
            (f"newcomer/{name}/{network}", SIGN_INS_OF_NEWCOMER),
        ):
            await self._counters.clear(streak, limits)

    async def reserve_of_nobody(self, source: str) -> None:
        """Count a failure that names no user, or raise `TooManyAttemptsError`."""
        await self._take(f"source/{_digest(site_of(source))}", SIGN_INS_OF_SOURCE)

    async def _reserve_of_stranger(
        self, attempt: Reservation, name: str, source: str, first_step: str | None
    ) -> None:
        """Count with all strangers, or else as one of the user's newcomers."""
        try:
            streak = f"account/{name}"
            await attempt.take(streak, SIGN_INS_OF_USER, AtSuccess.CLEAR)
        except TooManyAttemptsError as refused:
            if refused.retry_after <= LONGEST_WAIT_OF_NEWCOMERS:
                raise
            network = _digest(networks_of(source)[0])
            try:
                streak = f"newcomer/{name}/{network}"
                await attempt.take(streak, SIGN_INS_OF_NEWCOMER, AtSuccess.CLEAR)
                if first_step is None or not await self._follows(first_step):
                    streak = f"newcomers/{name}"
                    await attempt.take(streak, NEWCOMERS_TO_USER, AtSuccess.GIVE_BACK)
            except TooManyAttemptsError as newcomer:
                wait = min(refused.retry_after, newcomer.retry_after)
                raise TooManyAttemptsError(wait) from None

    async def _follows(self, first_step: str) -> bool:
        """Return whether this is the one second step that goes with a first one."""
        key, limits = f"step/{_digest(first_step)}", SECOND_STEPS_OF_NEWCOMER
        return await self._counters.take(key, limits) is None

    async def reserve_sign_up(self, source: str) -> None:
        """Count a sign-up, or raise `TooManyAttemptsError`."""
        await self._take(f"sign-up/{_digest(site_of(source))}", SIGN_UPS_OF_SOURCE)

    async def reserve_change(self, user_id: int) -> None:
        """Count a user's change of their own account, or `TooManyAttemptsError`."""
        await self._take(f"change/{user_id}", CHANGES_OF_USER)

    async def reserve_export(self, user_id: int) -> None:
        """Count a user's export of their own data, or `TooManyAttemptsError`."""
        await self._take(f"export/{user_id}", EXPORTS_OF_USER)

    async def reserve_mail_to(
        self, kind: MailKind, email_key: str, source: str
    ) -> None:
        """Count a mail that comes of something which is limited by its source anyway.

        Raises `TooManyAttemptsError`.
        """
        async with self._attempt() as attempt:
            await self._reserve_receiver(attempt, kind, email_key, source)

    async def reserve_mail(self, kind: str, email_key: str, source: str) -> None:
        """Count a mail that a stranger asks for, or raise `TooManyAttemptsError`."""
        networks = [_digest(network) for network in networks_of(source)]
        async with self._attempt() as attempt:
            await attempt.take(
                f"mail-source/{networks[-1]}", MAILS_OF_SOURCE, AtSuccess.KEEP
            )
            for each in networks[:-1]:
                await attempt.take(
                    f"mail-source/{each}", MAILS_OF_NETWORK, AtSuccess.KEEP
                )
            await self._reserve_receiver(attempt, kind, email_key, source)

    async def reserve_mail_in_all(self) -> Reservation:
        """Count a mail that is sent because a stranger wants it, whoever that is.

        Those that are not sent, as to addresses that nobody has, are given back: who
        makes up addresses must leave others their mail.

        Raises `TooManyAttemptsError`: not now.
        """
        attempt = self._attempt()
        await attempt.take("mail", MAILS_OF_ALL, AtSuccess.KEEP)
        return attempt

    async def _reserve_receiver(
        self, attempt: Reservation, kind: str, email_key: str, source: str
    ) -> None:
        """Count a mail to an address."""
        receiver = f"mail-to/{kind}/{_digest(email_key)}"
        network = _digest(networks_of(source)[0])
        await attempt.take(
            f"{receiver}/{network}", MAILS_TO_ADDRESS_OF_NETWORK, AtSuccess.KEEP
        )
        await attempt.take(receiver, MAILS_TO_ADDRESS, AtSuccess.KEEP)

    async def reserve_refresh(self, source: str) -> None:
        """Count a refresh, or raise `TooManyAttemptsError`."""
        await self._take(f"refresh/{_digest(site_of(source))}", REFRESHES_OF_SOURCE)

    async def reserve_refresh_of(self, session_id: str) -> None:
        """Count a refresh of a session, or raise `TooManyAttemptsError`."""
        await self._take(f"session/{_digest(session_id)}", REFRESHES_OF_SESSION)

    async def _take(self, key: str, limits: Sequence[Limit]) -> None:
        await self._attempt().take(key, limits, AtSuccess.KEEP)

    def _attempt(self) -> Reservation:
        return Reservation(self._counters, self.reached)


def _digest(text: str) -> str:
    """Return a short name for a key of any text, which does not reveal it."""
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded, usedforsecurity=False).hexdigest()[:32]
