"""What can go wrong, in the domain's words. No error here knows HTTP."""


class IdentityError(Exception):
    """An expected failure."""


class DatabaseUnavailableError(IdentityError):
    """The database does not answer, refuses to work, or is too busy."""
