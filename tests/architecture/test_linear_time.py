"""No regular expression takes time out of proportion to the text it is given."""

import importlib
import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = sorted(
    [
        *ROOT.glob("shared/src/service_kit/**/*.py"),
        *ROOT.glob("gateway/src/gateway_service/**/*.py"),
        *ROOT.glob("services/*/src/*_service/**/*.py"),
    ]
)

LENGTH: Final = 2_000
"""Characters of a hostile text; a head may have four times as many, a body more."""

SECONDS: Final = 0.01
"""Linear time is a tenth of it at most, quadratic time three times as much."""

HEADS: Final = ("", '"', "a=", ' a="', ",", "0;", "http://", "/")
UNITS: Final = (
    *(" ", '"', '\\"', "a", "0", "-", ".", "%2", "%41", "/", ",", ";", "=", "é"),
    *(" =", "a=", ",a", "a.", '",', '="', " wait"),
)
TAILS: Final = ("", "x y", '"')

Use = Callable[[str | bytes], object]

USES: Final = {
    "match": lambda pattern: pattern.match,
    "fullmatch": lambda pattern: pattern.fullmatch,
    "search": lambda pattern: pattern.search,
    "findall": lambda pattern: pattern.findall,
    "finditer": lambda pattern: pattern.findall,
    "sub": lambda pattern: pattern.findall,
    "split": lambda pattern: pattern.split,
}

NOT_HOSTILE: Final = frozenset(
    {
        "gateway_service.config.toml_lines",
        "identity_service.diagnosis.database",
        "identity_service.domain.accounts.search",
    }
)
"""Modules that read what the operator or the database says, or short texts only."""


def uses() -> Iterator[Any]:
    """Yield how each regular expression of a module is used in the tree."""
    texts = {path: path.read_text() for path in SOURCES}
    everything = "\n".join(texts.values())
    for path, text in texts.items():
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[parts.index("src") + 1 :]).removesuffix(".__init__")
        if "re.compile(" not in text or name in NOT_HOSTILE:
            continue
        for variable, pattern in vars(importlib.import_module(name)).items():
            declared = re.search(rf"^{variable}\b.*= re\.compile\(", text, re.MULTILINE)
            if not isinstance(pattern, re.Pattern) or declared is None:
                continue
            where = text if variable.startswith("_") else everything
            calls = rf"\b{variable}\.({'|'.join(USES)})\b"
            for use in sorted(set(re.findall(calls, where))):
                yield pytest.param(pattern, use, id=f"{name}.{variable}.{use}")


@pytest.mark.parametrize(("pattern", "use"), list(uses()))
def test_no_hostile_text_costs_more_than_linear_time(
    pattern: "re.Pattern[Any]", use: str
) -> None:
    is_text = isinstance(pattern.pattern, str)
    find = USES[use](pattern)
    for head, unit, tail in itertools.product(HEADS, UNITS, TAILS):
        text = head + unit * (LENGTH // len(unit)) + tail
        hostile = text if is_text else text.encode()
        assert min_seconds(find, hostile) < SECONDS, (head, unit, tail)


def min_seconds(find: Use, hostile: str | bytes) -> float:
    """Return the CPU time of one look, of several where the first takes long."""
    seconds = 1.0
    for _ in range(3):
        started_at = time.thread_time()
        find(hostile)
        seconds = min(seconds, time.thread_time() - started_at)
        if seconds < SECONDS:
            break
    return seconds
