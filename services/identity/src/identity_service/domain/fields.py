"""Faults of values that users enter."""

import contextlib
from collections.abc import Iterator
from typing import ClassVar


class InvalidFieldError(Exception):
    """A value cannot be accepted; ``message`` may be shown to the client.

    ``message`` is an English template with ``{name}`` for each of ``parameters``, in
    which nothing of the value stands. `errors.InvalidFieldsError` gathers one for each
    field.
    """

    field: ClassVar[str]

    def __init__(self, code: str, message: str, **parameters: int | str) -> None:
        super().__init__(message.format_map(parameters))
        self.code = code
        self.message = message
        self.parameters = parameters


@contextlib.contextmanager
def noted(faults: list[InvalidFieldError]) -> Iterator[None]:
    """Add the fault of a value to a list, so that a response names every fault."""
    try:
        yield
    except InvalidFieldError as error:
        faults.append(error)
