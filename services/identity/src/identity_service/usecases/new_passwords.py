"""Check the passwords that users choose."""

from dataclasses import dataclass

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.passwords import PasswordPolicy, WeakPasswordError
from identity_service.domain.accounts.usernames import Username
from identity_service.security.breached_passwords import BreachedPasswords


@dataclass(frozen=True, slots=True)
class NewPasswords:
    """Checks passwords against the policy and against known leaks."""

    policy: PasswordPolicy
    breached: BreachedPasswords | None

    async def check(
        self, password: str, username: Username, email: EmailAddress
    ) -> None:
        """Return if this user may have the password, else raise `WeakPasswordError`.

        While the mirror is unavailable, passwords are not checked for leaks.
        """
        self.policy.check(password, username, email)
        if self.breached is not None and await self.breached.contain(password):
            raise WeakPasswordError(
                "password_breached",
                "This password is known from a data leak. Please choose another one.",
            )
