"""What is wrong with a value that a person typed."""

from typing import ClassVar


class InvalidFieldError(Exception):
    """A value cannot be accepted; ``message`` may be shown to whoever sent it.

    The value itself is in neither ``code`` nor ``message``. `errors.InvalidFieldsError`
    gathers one for each field.
    """

    field: ClassVar[str]

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
