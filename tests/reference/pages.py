"""Write docs/reference from the product: all pages but that of metrics.

``make docs`` runs this; `tests.reference.metrics` writes the page of metrics.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from tests.reference import endpoints, gateway_configuration
from tests.reference.markdown import item, paragraph

from content_service.settings import Settings as ContentSettings
from gateway_service.settings import GatewaySettings
from identity_service.settings import Settings as IdentitySettings
from service_kit.problems import PROBLEMS, Problem
from service_kit.settings import specs

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"

SERVICES: Final[Mapping[str, type]] = {
    "gateway": GatewaySettings,
    "identity": IdentitySettings,
    "content": ContentSettings,
}

_PROBLEMS_HEAD: Final = """\
# Problems

`make docs` writes this page from `shared/src/service_kit/problems`. Every error is
`application/problem+json` (RFC 9457) with a status, a stable `code` for programs
and a message for people. The message here is the usual one; a response may say
more exactly what is wrong. Below it stand why, and what to do.
"""

_SETTINGS_HEAD: Final = """\
# Settings

`make docs` writes this page from each service's settings class. A service reads its
settings from the environment and reports every fault at once when it starts. The
value in parentheses is the default. A secret may also come from a file: the variable
with `_FILE` appended names it. Durations are in seconds.
"""


def problems_page() -> str:
    """Return the text of problems.md."""
    return "\n".join((_PROBLEMS_HEAD, *map(_problem, PROBLEMS)))


def _problem(problem: Problem) -> str:
    return "\n".join(
        (
            f"## {problem.code}\n",
            f'{int(problem.status)}: "{problem.text}"\n',
            f"{paragraph(problem.why)}\n",
            f"{paragraph(problem.advice)}\n",
        )
    )


def settings_page() -> str:
    """Return the text of settings.md."""
    lines = [_SETTINGS_HEAD]
    for service, declared in SERVICES.items():
        lines += [f"## {service}", "", *_settings(declared), ""]
    return "\n".join(lines)


def _settings(declared: type) -> Iterator[str]:
    fields = dataclasses.fields(cast("Any", declared))
    for spec, field in zip(specs(declared), fields, strict=True):
        if spec.default is not None:
            default = f"`{spec.default}`" if spec.default else "empty"
        else:
            default = "required" if field.default is dataclasses.MISSING else "none"
        secret = "; secret" if spec.secret else ""
        yield item(f"`{spec.name}` ({default}{secret}): {spec.description}")


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "endpoints.md": endpoints.page,
    "problems.md": problems_page,
    "settings.md": settings_page,
    "gateway-configuration.md": gateway_configuration.page,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")
