"""``content-service serve | doctor``."""

import asyncio
import sys
from typing import Final

from prometheus_client import CollectorRegistry

from content_service.app import create_app
from content_service.doctor import diagnose
from content_service.settings import Settings
from service_kit.doctor import report
from service_kit.health import Readiness
from service_kit.internal_app import create_internal_app
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
            sys.exit(asyncio.run(report(diagnose(settings_or_exit(Settings)))))
        case ["-h" | "--help"]:
            sys.stdout.write(_USAGE)
        case _:
            sys.stderr.write(_USAGE)
            sys.exit(2)


async def _serve(settings: Settings) -> None:
    readiness, registry = Readiness(), CollectorRegistry()
    runner = app_runner(create_app(settings, readiness, registry), settings)
    internal_app = create_internal_app(readiness, registry)
    await serve(runner, internal_app, readiness, settings)


if __name__ == "__main__":
    main()
