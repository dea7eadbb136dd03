"""What holds for every test."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Final

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

_OURS: Final = [
    "service_kit",
    "identity_service",
    "content_service",
    "gateway_service",
]

_MAY_BLOCK: Final = [
    ("identity_service/storage/engines.py", "create_engine"),
    ("identity_service/storage/upgrades/upgrading.py", "_upgrade"),
    ("identity_service/storage/tutorial_tables.py", "create_tutorial_engine"),
]
"""What runs before a process serves, or in a command that serves nobody."""

_SECRETS: Final = re.compile(
    r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}"  # a token
    r"|\$2[aby]\$\d\d\$"  # a password hash
    r"|BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s:@\"]+:[^@\s*]+@"  # a URL with a password
)

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that starts the tests in the background has it ignored, by what tests start,
too."""

for _name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(_name, None)
"""What `make test` hands on has a `make` that a test starts print more lines."""


@pytest.fixture(autouse=True)
def _nothing_of_ours_blocks_the_event_loop() -> Iterator[BlockBuster]:
    with blockbuster_ctx(_OURS) as blockbuster:
        for function in blockbuster.functions.values():
            for file, name in _MAY_BLOCK:
                function.can_block_in(file, name)
        yield blockbuster


@pytest.fixture(autouse=True)
def _no_log_record_holds_a_secret(
    caplog: pytest.LogCaptureFixture,
) -> Iterator[None]:
    yield
    for record in (*caplog.get_records("setup"), *caplog.get_records("call")):
        if record.name.partition(".")[0] in _OURS:
            found = _SECRETS.search(f"{record.getMessage()} {record.__dict__}")
            assert found is None, f"{record.name} logged a secret"
