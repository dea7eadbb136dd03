"""What the supervisor sends to its workers: Python objects, each in a line."""

import base64
import pickle
from typing import Any


def to_line(message: object) -> bytes:
    """Return the line of a message, for `from_line` in a worker."""
    return base64.b64encode(pickle.dumps(message)) + b"\n"


def from_line(line: bytes) -> Any:  # noqa: ANN401 - whatever was sent
    """Return the message of a line that the supervisor alone can have written."""
    return pickle.loads(base64.b64decode(line))  # noqa: S301 - see above
