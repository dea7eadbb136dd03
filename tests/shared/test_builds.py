"""Each service says which build of its hot modules it runs."""

import importlib
import os
import subprocess
import sys

import pytest

from service_kit.observability.process import COMPILED, INTERPRETED, build_of

HOT = {
    "gateway": "gateway_service.http1.parsing.reader",
    "identity": "service_kit.tokens.verifier",
    "content": "service_kit.tokens.verifier",
}
WANTED = os.environ.get("TEST_BUILD", INTERPRETED)
"""What `make test-compiled` says, so that it does not test the sources unseen."""


@pytest.mark.parametrize("module", sorted(set(HOT.values())))
def test_the_build_is_the_one_that_is_tested(module: str) -> None:
    assert build_of(importlib.import_module(module)) == WANTED
    assert WANTED in {COMPILED, INTERPRETED}


@pytest.mark.parametrize("service", sorted(HOT))
def test_version_names_the_build(service: str) -> None:
    said = subprocess.run(
        [sys.executable, "-m", f"{service}_service", "--version"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    python = ".".join(map(str, sys.version_info[:3]))
    assert said.startswith(f"{service}-service ")
    assert said.endswith(f" ({WANTED}, Python {python})\n")
