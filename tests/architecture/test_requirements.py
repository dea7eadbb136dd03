import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture import requirements

IDS: Final = [each for part in requirements.PARTS.values() for each in part]

_ID_FIRST: Final = re.compile(
    r"^(?:test_)?((?:[A-Za-z]_)?[A-Za-z]{1,2}(?:-[A-Za-z])?\d{1,2})[_ -]"
)
"""What reads as an ID of some catalogue, first in a test's name or parameter's id."""


@pytest.mark.parametrize("requirement", IDS)
def test_every_requirement_has_a_test(requirement: str) -> None:
    assert requirements.found().get(requirement)


def test_the_document_tells_what_the_tests_carry() -> None:
    assert requirements.DOCUMENT.read_text("utf-8") == requirements.document()


def names_of_tests() -> Iterator[str]:
    for file in (requirements.ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    if name.startswith("test_"):
                        yield name
                case ast.keyword(arg="id", value=ast.Constant(value=str(name))):
                    yield name
                case _:
                    pass


def test_names_of_tests_carry_ids_of_the_catalogue_alone() -> None:
    carried = {
        found[1] for name in names_of_tests() if (found := _ID_FIRST.match(name))
    }
    assert {each.upper() for each in carried} <= set(IDS)
