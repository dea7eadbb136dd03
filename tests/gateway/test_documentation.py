"""docs/gateway.md names every key and variable, with the defaults of the code."""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import MISSING
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from gateway_service.config import file, tables
from gateway_service.config.sections import Section
from gateway_service.settings import GatewaySettings
from service_kit.settings import specs

DOCUMENT = Path(__file__).parents[2] / "docs" / "gateway.md"
HEADINGS: Mapping[str, Section[Any]] = {
    "Top level": tables.WHOLE,
    "`[limits]`": tables.LIMITS,
    "`[client_timeouts]`": tables.CLIENT_TIMEOUTS,
    "`[timeouts]`": tables.TIMEOUTS,
    "`[cors]`": tables.CORS,
    "`[tls]`": tables.TLS,
    "`[[routes]]`": tables.ROUTE,
    "`routes.rate_limit`": tables.RATE_LIMIT,
    "`[upstreams.<name>]`": tables.UPSTREAM,
    "`upstreams.<name>.health`": tables.HEALTH,
    "`upstreams.<name>.ejection`": tables.EJECTION,
    "`upstreams.<name>.retries`": tables.RETRIES,
}
OF_OTHER_TABLES = {
    "body_limit": "`limits.body`",
    "timeouts": "`[timeouts]`",
    "rate_limit": "none",
}
"""Defaults of a route that are no constants."""


def table_below(heading: str) -> dict[str, str]:
    """Return first and second column of the table under a heading."""
    text = DOCUMENT.read_text("utf-8")
    match = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert match is not None, heading
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", match[1], re.MULTILINE)
    return {name: default.strip() for name, default in rows}


def shown(value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, frozenset):
        value = sorted(value)
    return f"`{json.dumps(value)}`"


def default_of(section: Section[Any], key: str) -> str:
    each = {f.name: f for f in dataclasses.fields(section.type)}[key]  # type: ignore[arg-type]
    if section is tables.ROUTE and key in OF_OTHER_TABLES:
        return OF_OTHER_TABLES[key]
    return "required" if each.default is MISSING else shown(each.default)


@pytest.mark.parametrize("heading", HEADINGS)
def test_table_lists_every_key_with_its_default(heading: str) -> None:
    section = HEADINGS[heading]
    values = {
        key: default_of(section, key)
        for key, rule in section.rules.items()
        if not isinstance(rule, Section) or key in OF_OTHER_TABLES
    }

    assert table_below(heading) == values


def test_every_section_has_a_table() -> None:
    documented = {id(section) for section in HEADINGS.values()}

    def within(section: Section[Any]) -> set[int]:
        inner = [rule for rule in section.rules.values() if isinstance(rule, Section)]
        return {id(section)}.union(*map(within, inner))

    used = (tables.WHOLE, tables.ROUTE, tables.UPSTREAM)
    assert documented == {each for section in used for each in within(section)}


def test_every_variable_of_the_process_is_listed() -> None:
    text = DOCUMENT.read_text("utf-8")

    for spec in specs(GatewaySettings):
        assert f"| `{spec.name}` | `{spec.default}` | {spec.description} |" in text


def test_every_variable_over_the_file_is_listed() -> None:
    listed = table_below("Environment")

    for variable, (path, _) in file.VARIABLES.items():
        assert listed[variable].startswith(f"`{'.'.join(path)}`, ")
    assert f"`{file.UPSTREAM_VARIABLE}<NAME>`" in DOCUMENT.read_text("utf-8")
