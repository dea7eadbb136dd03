"""The version, the build and the resources of a process."""

import os
import platform
import time
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from types import ModuleType
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service_kit.observability import request_id

VERSION: Final = version("service-kit")
"""Of the whole product: its packages are released together."""

COMPILED: Final = "compiled"
INTERPRETED: Final = "interpreted"


def build_of(module: ModuleType) -> str:
    """Return how a module runs that the compiled build compiles by mypyc."""
    is_compiled = (module.__file__ or "").endswith(tuple(EXTENSION_SUFFIXES))
    return COMPILED if is_compiled else INTERPRETED


BUILD: Final = build_of(request_id)
"""Of this process: `request_id` is compiled where the other hot modules are."""


def version_text(service: str) -> str:
    """Return what `--version` prints of a service."""
    python = platform.python_version()
    return f"{service}-service {VERSION} ({BUILD}, Python {python})"


class ProcessState(Collector):
    """Reports the service, version and uptime of this process."""

    def __init__(self, service: str) -> None:
        self._build = {
            "service": service,
            "version": VERSION,
            "python": platform.python_version(),
        }
        self._started_at = time.monotonic()
        self.registry = CollectorRegistry()
        """What may be collected by any thread."""
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Return the version in Prometheus' form."""
        info = GaugeMetricFamily(
            "gatehouse_build_info",
            "1, with what this process was built from",
            labels=tuple(self._build),
        )
        info.add_metric(tuple(self._build.values()), 1)
        yield info

    def report(self) -> dict[str, object]:
        """Return the same as JSON can hold it."""
        return {
            **self._build,
            "pid": os.getpid(),
            "uptime_seconds": round(time.monotonic() - self._started_at, 1),
            "build": BUILD,
        }
