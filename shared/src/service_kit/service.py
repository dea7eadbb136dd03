"""The commands of a service whose callers have access tokens: `serve` and `doctor`."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from service_kit.health import Readiness
from service_kit.observability.logs import configure_logging
from service_kit.observability.process import version_text
from service_kit.observability.tracing import trace_requests
from service_kit.resource_server.issuer_check import examine_issuer, refusals
from service_kit.resource_server.verification import VERIFICATION, VerificationSettings
from service_kit.running.doctor import Finding, fault, report
from service_kit.running.internal_app import create_internal_app
from service_kit.running.loop import Loop
from service_kit.running.output import OutputLostError
from service_kit.running.running_process import ask_process
from service_kit.running.server import (
    app_runner,
    exit_unusable,
    run,
    serve,
    settings_or_exit,
)
from service_kit.running.unknown_settings import examine_variables

_LONGEST_SECONDS: Final = 6
"""That `doctor` waits: one slow response of the issuer, and a little."""

_STEP_SECONDS: Final = 0.1

S = TypeVar("S", bound=VerificationSettings)

CreateApp = Callable[[S, Readiness, CollectorRegistry], web.Application]
"""Returns the service, ready to run."""


def run_service(name: str, settings_class: type[S], create_app: CreateApp[S]) -> None:
    """Run the command that the process's arguments name."""
    parser = argparse.ArgumentParser(f"{name}-service")
    parser.add_argument("--version", action="version", version=version_text(name))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve requests until SIGTERM")
    commands.add_parser("doctor", help="check settings, keys and status lists")
    if parser.parse_args().command == "doctor":
        settings = settings_or_exit(settings_class)
        configure_logging(name, "error")  # its lines say what is wrong
        doctor = report(diagnose(name, settings, create_app))
        try:
            sys.exit(uvloop.run(doctor, loop_factory=Loop))
        except OutputLostError as error:
            exit_unusable(str(error))

    async def main(settings: S) -> None:
        readiness, registry = Readiness(), CollectorRegistry()
        app = create_app(settings, readiness, registry)
        trace_requests(app, name, settings.otlp_endpoint)
        runner = app_runner(app, settings)

        async def status() -> dict[str, object]:
            return {
                "issuer": settings.issuer,
                "audience": settings.audience,
                **app[VERIFICATION].report(),
            }

        internal_app = create_internal_app(name, readiness, registry, status)
        await serve(runner, internal_app, readiness, settings)

    run(name, main, settings_class)


async def diagnose(
    name: str, settings: S, create_app: CreateApp[S]
) -> AsyncIterator[Finding]:
    """Yield findings about the process that runs here, and about the issuer.

    Where none runs, the service is started without a port.
    """
    yield Finding("settings")
    for finding in examine_variables(type(settings), os.environ):
        yield finding
    process = await ask_process(name, settings.internal_host, settings.internal_port)
    for finding in process.findings:
        yield finding
    if process.status is not None:
        counts = process.status.get("refused_tokens", {})
        for finding in refusals(counts, prefix=settings.prefix):
            yield finding
    else:
        faults = await _faults_after_start(settings, create_app)
        for what, text in faults.items():
            yield fault(what, text, "see the lines below")
        if not faults:
            yield Finding("verification keys and status lists")
    async for finding in examine_issuer(settings):
        yield finding


async def _faults_after_start(settings: S, create_app: CreateApp[S]) -> dict[str, str]:
    readiness = Readiness()
    runner = web.AppRunner(create_app(settings, readiness, CollectorRegistry()))
    await runner.setup()
    try:
        for _ in range(round(_LONGEST_SECONDS / _STEP_SECONDS)):
            if not await readiness.faults():
                break
            await asyncio.sleep(_STEP_SECONDS)
        return await readiness.faults()
    finally:
        await runner.cleanup()
