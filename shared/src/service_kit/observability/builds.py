"""The build that runs: hot modules compiled by mypyc, or none."""

import platform
from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType
from typing import Final

from service_kit.observability import request_id
from service_kit.observability.process import VERSION

COMPILED: Final = "compiled"
INTERPRETED: Final = "interpreted"


def build_of(module: ModuleType) -> str:
    """Return how a module runs that the compiled build compiles."""
    is_compiled = (module.__file__ or "").endswith(tuple(EXTENSION_SUFFIXES))
    return COMPILED if is_compiled else INTERPRETED


BUILD: Final = build_of(request_id)
"""Of this process: `request_id` is compiled where the others are."""


def version_text(service: str) -> str:
    """Return what `--version` prints of a service."""
    python = platform.python_version()
    return f"{service}-service {VERSION} ({BUILD}, Python {python})"
