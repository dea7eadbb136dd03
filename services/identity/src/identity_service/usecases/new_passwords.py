"""Judge the passwords that people choose."""

from identity_service.domain.emails import EmailAddress
from identity_service.domain.passwords import PasswordPolicy, WeakPasswordError
from identity_service.domain.usernames import Username
from identity_service.security.breached_passwords import BreachedPasswords


class NewPasswords:
    """Accepts passwords by the policy, and by what a mirror knows of leaks."""

    def __init__(
        self, policy: PasswordPolicy, breached: BreachedPasswords | None
    ) -> None:
        self._policy = policy
        self._breached = breached

    async def check(
        self, password: str, username: Username, email: EmailAddress
    ) -> None:
        """Return if the password is good for this user, else `WeakPasswordError`.

        A mirror that is away refuses nothing.
        """
        self._policy.check(password, username, email)
        if self._breached is not None and await self._breached.contain(password):
            raise WeakPasswordError(
                "password_breached",
                "This password is known from a leak: choose another.",
            )
