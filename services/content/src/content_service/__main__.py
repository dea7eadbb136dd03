"""``content-service serve | doctor``."""

import asyncio
import sys
from typing import Final

from prometheus_client import CollectorRegistry

from content_service.app import create_app
from content_service.doctor import faults_after_start
from content_service.settings import Settings
from service_kit.health import Readiness, create_internal_app
from service_kit.server import app_runner, run, serve, settings_or_exit

_USAGE: Final = """\
usage: content-service serve | doctor

  serve   serve requests until SIGTERM
  doctor  say whether the settings, the issuer's keys and its status lists are there
"""


def main() -> None:
    """Run the command that the arguments name."""
    match sys.argv[1:]:
        case ["serve"]:
            run("content", _serve, Settings)
        case ["doctor"]:
            sys.exit(_doctor(settings_or_exit(Settings)))
        case ["-h" | "--help"]:
            sys.stdout.write(_USAGE)
        case _:
            sys.stderr.write(_USAGE)
            sys.exit(2)


async def _serve(settings: Settings) -> None:
    readiness, registry = Readiness(), CollectorRegistry()
    runner = app_runner(create_app(settings, readiness, registry), readiness, settings)
    internal_app = create_internal_app(readiness, registry)
    await serve(runner, internal_app, readiness, settings)


def _doctor(settings: Settings) -> int:
    sys.stdout.write("ok    settings\n")
    faults = asyncio.run(faults_after_start(settings))
    for name, fault in faults.items():
        sys.stdout.write(f"fault {name}: {fault}\n")
    if not faults:
        sys.stdout.write("ok    verification keys and status lists\n")
    return 1 if faults else 0


if __name__ == "__main__":
    main()
