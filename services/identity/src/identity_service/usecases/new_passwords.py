"""Check the passwords that users choose."""

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.passwords import PasswordPolicy, WeakPasswordError
from identity_service.domain.accounts.usernames import Username
from identity_service.security.breached_passwords import BreachedPasswords


class NewPasswords:
    """Checks passwords against the policy and against known leaks."""

    def __init__(
        self, policy: PasswordPolicy, breached: BreachedPasswords | None
    ) -> None:
        self._policy = policy
        self._breached = breached

    async def check(
        self, password: str, username: Username, email: EmailAddress
    ) -> None:
        """Return if this user may have the password, else raise `WeakPasswordError`.

        While the mirror is unavailable, passwords are not checked for leaks.
        """
        self._policy.check(password, username, email)
        if self._breached is not None and await self._breached.contain(password):
            raise WeakPasswordError(
                "password_breached",
                "This password is known from a data leak. Please choose another one.",
            )
