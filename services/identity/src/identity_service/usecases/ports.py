"""What the use cases ask of the database."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from identity_service.storage.repositories import Repositories

T = TypeVar("T")
Work = Callable[[Repositories], Awaitable[T]]
"""One unit of work. It may run again after a deadlock, so it has no effect but on
the repositories, and what it decides it returns: raising would roll it back."""


class Database(Protocol):
    """Runs units of work, each in one transaction.

    Locks are taken in one order everywhere: the admin role, users, sessions, access
    tokens, the head of the audit log.
    """

    async def read(self, work: Work[T]) -> T:
        """Run ``work``, which must not write."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` and commit, or roll back and raise what it raised.

        Raises
        ------
        DatabaseUnavailableError
            The database does not answer, refuses to work, or is too busy.
        """
        ...
