"""Every text for people is translated, and no translation is of no use."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from gateway_service.console.problems import HEADINGS, LABELS
from identity_service.handlers.field_errors import TEMPLATES
from service_kit.languages.text import CATALOGUES
from service_kit.problems import PROBLEMS

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = [
    file
    for folder in ("shared", "gateway", "services/identity", "services/content")
    for file in (ROOT / folder).rglob("*.py")
]
TELLING: Final = re.compile(
    r"Text|told|message_response|invalid_body|invalid_parameter"
    r"|_refuse|Invalid(Value|Username|Email|RoleName|Description)Error|WeakPasswordError|duration"
)
"""Calls that take templates. What the gateway says of bytes that are no HTTP is English
alone: nobody knows who sent them."""


def calls() -> Iterator[ast.Call]:
    for file in PRODUCT:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def templates() -> Iterator[str]:
    for problem in PROBLEMS:
        yield from (problem.title, problem.message, problem.why, problem.advice)
    yield from (*LABELS.values(), *HEADINGS)
    yield from TEMPLATES
    for call in calls():
        name = ast.unparse(call.func).rpartition(".")[2]
        told = call.args if TELLING.fullmatch(name) else []
        told += [each.value for each in call.keywords if each.arg == "message"]
        for each in told:
            if isinstance(each, ast.Constant) and " " in str(each.value):
                yield str(each.value)


def parameters(template: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", template))


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_text_is_translated(language: str) -> None:
    assert set(templates()) - set(CATALOGUES[language]) == set()


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_has_the_parameters_of_its_text(language: str) -> None:
    for template, translation in CATALOGUES[language].items():
        assert parameters(translation) == parameters(template), template


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_translation_is_left_over(language: str) -> None:
    said = "".join(
        file.read_text("utf-8") for file in PRODUCT if "languages" not in file.parts
    )
    durations = {each for each in CATALOGUES[language] if each[:2] in {"{a", "1 "}}
    unused = set(CATALOGUES[language]) - set(templates()) - durations
    assert [each for each in unused if f'"{each[:40]}' not in said] == []
