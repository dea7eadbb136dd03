"""Serve resources, or look for what would keep the service from it."""

import argparse
import asyncio
import sys

from prometheus_client import CollectorRegistry

from content_service.app import create_app
from content_service.doctor import diagnose
from content_service.settings import Settings
from service_kit.doctor import report
from service_kit.health import Readiness
from service_kit.internal_app import create_internal_app
from service_kit.server import app_runner, run, serve, settings_or_exit


def main() -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser("content-service", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve requests until SIGTERM")
    commands.add_parser("doctor", help="check settings, keys and status lists")
    if parser.parse_args().command == "serve":
        run("content", _serve, Settings)
    else:
        sys.exit(asyncio.run(report(diagnose(settings_or_exit(Settings)))))


async def _serve(settings: Settings) -> None:
    readiness, registry = Readiness(), CollectorRegistry()
    runner = app_runner(create_app(settings, readiness, registry), settings)
    internal_app = create_internal_app(readiness, registry)
    await serve(runner, internal_app, readiness, settings)


if __name__ == "__main__":
    main()
