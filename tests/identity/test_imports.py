"""What a process imports before it serves or runs a command: most of a start."""

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from identity_service import arguments

SOURCE = Path(arguments.__file__).read_text()
COMMANDS = sorted(set(re.findall(r'"(\w+:\w+)"', SOURCE)))


@pytest.mark.parametrize(
    ("module", "needless"),
    [
        ("serving", {"alembic"}),
        ("schema_commands", {"identity_service.composition", "pydantic"}),
    ],
)
def test_what_is_not_needed_yet_is_not_imported(
    module: str, needless: set[str]
) -> None:
    code = (
        f"import sys, identity_service.cli, identity_service.{module};"
        f"sys.exit(str({needless} & set(sys.modules) or 0))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stderr.strip() == "0"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_where_its_name_says(name: str) -> None:
    assert callable(pkgutil.resolve_name(f"identity_service.{name}"))
