"""What a test needs of the machine and does not find."""

import os
from typing import NoReturn

import pytest


def skip_missing(what: str) -> NoReturn:
    """Skip the test; fail it where TEST_COMPLETE says that nothing may be missing."""
    if os.environ.get("TEST_COMPLETE"):
        pytest.fail(f"TEST_COMPLETE is set, but {what}")
    pytest.skip(what)
