"""Sign in: begin a session."""

from identity_service.domain.authentication import Method
from identity_service.domain.sessions import Device
from identity_service.domain.users import User
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.token_pairs import TokenPair


class SignIns:
    """Begins sessions by passwords."""

    def __init__(self, passwords: Passwords, session_starts: SessionStarts) -> None:
        self._passwords = passwords
        self._session_starts = session_starts

    async def sign_in(
        self, username: str, password: str, device: Device
    ) -> tuple[User, TokenPair]:
        """Begin a session on a device; the least recently used makes room for it.

        Raises `InvalidCredentialsError`: unknown user, wrong password, disabled user:
        indistinguishable; `SecondFactorRequiredError`: the user has one, whether the
        password was right or not; `TooManyAttemptsError`, `HashingBusyError`: not now.
        """
        verified = await self._passwords.authenticate(username, password, device)
        methods = frozenset({Method.PASSWORD})
        return await self._session_starts.start(verified, device, methods)
