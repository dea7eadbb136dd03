"""One registry of problems: what is used is declared, what is declared is used."""

import ast
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest

from service_kit.problems import Problem, accounts, common

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = [
    file
    for folder in ("shared", "gateway", "services/identity", "services/content")
    for file in (ROOT / folder).rglob("*.py")
]
REGISTRY: Final = {Path(str(module.__file__)) for module in (accounts, common)}

DECLARED: Final = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (accounts, common)
    for name, value in vars(module).items()
    if isinstance(value, Problem)
}


def nodes(*, outside: set[Path]) -> Iterator[ast.AST]:
    for file in PRODUCT:
        if file not in outside:
            yield from ast.walk(ast.parse(file.read_text("utf-8")))


def test_problems_are_declared_in_the_registry_alone() -> None:
    made = [
        ast.unparse(node)
        for node in nodes(outside=REGISTRY)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem"
    ]
    assert not made


def test_every_code_is_declared_once_and_named_after_its_code() -> None:
    codes = [problem.code for problem in DECLARED.values()]
    assert len(set(codes)) == len(codes)
    assert [name.partition(".")[2].lower() for name in DECLARED] == codes


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_is_used_and_explained(name: str) -> None:
    used = {
        ast.unparse(n) for n in nodes(outside=REGISTRY) if isinstance(n, ast.Attribute)
    }
    assert name in used
    assert DECLARED[name].advice.endswith(".")


@pytest.mark.parametrize(
    "problem",
    [each for each in DECLARED.values() if each.status == HTTPStatus.UNAUTHORIZED],
    ids=lambda each: each.code,
)
def test_each_401_has_a_challenge(problem: Problem) -> None:
    assert problem.headers.get("WWW-Authenticate"), "RFC 9110 section 15.5.2"
