"""How long pages wait for the gateway, which does not tell them how long it waits."""

import re
from pathlib import Path
from typing import Final

import pytest

from gateway_service.config.file import read_config
from gateway_service.config.model import Timeouts

ROOT: Final = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "page",
    [
        "docs/examples/front-end/session.mjs",
        "gateway/src/gateway_service/console/files/console/api.js",
    ],
)
def test_pages_wait_longer_than_the_gateway(page: str) -> None:
    """Else they would give up a sign-in, for example, that succeeds."""
    routes = read_config(ROOT / "deploy" / "gateway.toml", {}).routes
    longest = max(Timeouts().total, *(route.timeouts.total for route in routes))
    text = (ROOT / page).read_text()

    [milliseconds] = re.findall(r"LONGEST_WAIT_MS = ([0-9_]+);", text)

    assert int(milliseconds) > longest * 1000
