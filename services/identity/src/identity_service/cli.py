"""``identity-service``: the commands and their arguments."""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from identity_service import commands, moving_commands, schema_commands
from identity_service.app import create_app
from identity_service.domain.errors import DatabaseUnavailableError, IdentityError
from identity_service.domain.fields import InvalidFieldError
from identity_service.handlers.context import SERVICES
from identity_service.moving_commands import UserFileError
from identity_service.plans import PlanFileError
from identity_service.settings import DatabaseSettings, ImportSettings, Settings
from identity_service.status import status_of
from identity_service.storage.database_url import checked_url, file_fault
from identity_service.storage.faults import reason
from service_kit.health import Readiness
from service_kit.observability.builds import version_text
from service_kit.observability.logs import configure_logging
from service_kit.running.internal_app import create_internal_app
from service_kit.running.server import app_runner, run, serve, settings_or_exit

_REFUSED: Final = 1
_UNUSABLE: Final = 2
"""What the operator gave, or the database that it names, cannot be used."""

_TUTORIAL_URL: Final = "TUTORIAL_DATABASE_URL"

_Subparsers = Any
"""What `add_subparsers` returns, whose class argparse keeps private."""

_Command = Callable[[Any, argparse.Namespace, commands.Write], Coroutine[Any, Any, int]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name."""
    parsed = _parser().parse_args(arguments)
    settings = settings_or_exit(parsed.settings)
    if fault := file_fault(settings.database_url):
        sys.stderr.write(f"setting IDENTITY_DATABASE_URL {fault}\n")
        sys.exit(_UNUSABLE)
    if parsed.run is None:
        run("identity", _serve, Settings)
        return
    configure_logging("identity", "error")
    try:
        if "read_password" in parsed:
            parsed.password = _password(parsed)
        if "source" in parsed and parsed.lines is None:
            parsed.source = _tutorial_url(parsed.source, settings)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_UNUSABLE)
    sys.exit(asyncio.run(_run(parsed.run, settings, parsed)))


async def _serve(settings: Settings) -> None:
    readiness, registry = Readiness(), CollectorRegistry()
    app = create_app(settings, readiness=readiness, registry=registry)

    async def status() -> dict[str, object]:
        return await status_of(app[SERVICES])

    internal_app = create_internal_app("identity", readiness, registry, status)
    runner = app_runner(app, settings)
    await serve(runner, internal_app, readiness, settings)


async def _run(
    command: _Command, settings: object, arguments: argparse.Namespace
) -> int:
    try:
        return await command(settings, arguments, _write)
    except DatabaseUnavailableError as error:
        sys.stderr.write(f"database: {error}\n")
        return _UNUSABLE
    except (SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"database: {reason(error)}\n")
        return _UNUSABLE
    except (PlanFileError, UserFileError) as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    except (IdentityError, InvalidFieldError) as error:
        why = str(error) or (type(error).__doc__ or "").partition("\n")[0]
        sys.stderr.write(f"{type(error).__name__}: {why}\n")
        return _REFUSED


def _write(line: str) -> None:
    """Print a line; once nobody reads them, the command goes on without."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _password(arguments: argparse.Namespace) -> str | None:
    """Return the password that the operator gives, None to have one made."""
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if arguments.password_file is not None:
        return _read(arguments.password_file).rstrip("\r\n")
    if sys.stdin.isatty():
        try:
            return getpass.getpass("password (empty: have one made): ") or None
        except (EOFError, KeyboardInterrupt):
            raise ValueError("no password was given") from None
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError("--password-file is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"--password-file cannot be read: {error.strerror}") from None


def _tutorial_url(argument: str | None, settings: ImportSettings) -> str:
    """Return the URL of the tutorial's database, or raise ValueError."""
    if argument is None:
        if settings.tutorial_database_url is None:
            raise ValueError(f"give {_TUTORIAL_URL}, {_TUTORIAL_URL}_FILE or --from")
        return settings.tutorial_database_url
    try:
        url = checked_url(argument)
    except ValueError as error:
        raise ValueError(f"--from {error}") from None
    if make_url(url).password:
        sys.stderr.write(
            "warning: every user who lists processes can read the password in --from:"
            f" use {_TUTORIAL_URL}_FILE\n"
        )
    return url


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="identity-service", description="Users, roles, sessions, signing keys."
    )
    parser.add_argument("--version", action="version", version=version_text("identity"))
    parser.set_defaults(run=None, settings=Settings)
    top = parser.add_subparsers(required=True, metavar="command")
    _add(top, "serve", None, "serve requests until SIGTERM")
    text = "name every fault of the settings; open nothing"
    _add(top, "check", commands.check, text)
    _add_schema_commands(top)
    _add_user_commands(top)
    _add_mail_commands(_add(top, "mail", None, "list and resend mail"))
    _add_role_commands(_add(top, "roles", None, "list, add and remove roles"))
    for name, command, text in (
        ("plan", commands.plan_file, "say how a file of roles and settings differs"),
        ("apply", commands.apply_file, "bring roles to what such a file says"),
    ):
        _add(top, name, command, text).add_argument("file", type=Path, metavar="FILE")
    _add_key_commands(top)
    text = "end what a restored backup brings back to life; no process may serve"
    _add(top, "after-restore", commands.after_restore, text)
    text = "check that nobody changed the audit log"
    _add(top, "verify-audit", commands.verify_audit, text)
    text = "check the database, clock, keys and throttle store"
    _add(top, "doctor", commands.doctor, text)
    return parser


def _add(
    subparsers: _Subparsers, name: str, command: _Command | None, text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=text, description=text
    )
    parser.set_defaults(run=command)
    return parser


def _add_schema_commands(top: _Subparsers) -> None:
    text = "bring the database to the schema needed"
    migrating = _add(top, "migrate", schema_commands.migrate, text)
    text = "say what is there, needed and pending"
    describing = _add(top, "schema", schema_commands.describe_schema, text)
    for each in (migrating, describing):
        each.set_defaults(settings=DatabaseSettings)


def _add_user_commands(top: _Subparsers) -> None:
    text = "create an administrator, once"
    creating = _add(top, "create-admin", commands.create_admin, text)
    creating.add_argument("--username", default="admin")
    creating.add_argument("--email", required=True)
    _add_password_arguments(creating)
    text = "bring users over, from lines or from the tutorial's database"
    importing = _add(top, "import-users", moving_commands.import_users, text)
    importing.set_defaults(settings=ImportSettings)
    importing.add_argument(
        "--from",
        dest="source",
        metavar="URL",
        help="SQLAlchemy URL of the tutorial's database, if it holds no password;"
        f" otherwise set {_TUTORIAL_URL} or {_TUTORIAL_URL}_FILE",
    )
    moving_commands.add_import_arguments(importing)
    text = "write every user, with their password hash, as a line of JSON"
    exporting = _add(top, "export-users", moving_commands.export_users, text)
    moving_commands.add_export_arguments(exporting)
    text = "give a user a temporary password; all their sessions end"
    resetting = _add(top, "reset-password", commands.reset_password, text)
    resetting.add_argument("username", metavar="USERNAME")
    _add_password_arguments(resetting)
    text = "remove the second factors of a user who has lost them"
    removing = _add(top, "reset-factors", commands.reset_factors, text)
    removing.add_argument("username", metavar="USERNAME")


def _add_password_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(read_password=True)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--password-stdin", action="store_true", help="read the password's one line"
    )
    source.add_argument(
        "--password-file", type=Path, help="read the password from a file"
    )


def _add_mail_commands(parser: argparse.ArgumentParser) -> None:
    subparsers = parser.add_subparsers(required=True, metavar="command")
    text = "name the mails that could not be sent"
    _add(subparsers, "list", commands.list_mail, text).add_argument(
        "--waiting", action="store_true", help="name those that wait, instead"
    )
    text = "have mails that could not be sent sent again"
    _add(subparsers, "resend", commands.resend_mail, text).add_argument(
        "ids", nargs="*", metavar="ID", help="as listed (default: all)"
    )


def _add_role_commands(parser: argparse.ArgumentParser) -> None:
    subparsers = parser.add_subparsers(required=True, metavar="command")
    _add(subparsers, "list", commands.list_roles, "name every role")
    text = "add a role, unless it is there"
    adding = _add(subparsers, "add", commands.add_role, text)
    adding.add_argument("name", metavar="NAME")
    adding.add_argument(
        "--description", required=True, metavar="TEXT", help="what the role is for"
    )
    text = "remove a role that nobody has"
    removing = _add(subparsers, "remove", commands.remove_role, text)
    removing.add_argument("name", metavar="NAME")


def _add_key_commands(top: _Subparsers) -> None:
    text = "let the next signing key sign before its time"
    rotating = _add(top, "rotate-signing-key", commands.rotate_signing_key, text)
    rotating.add_argument(
        "--now",
        action="store_true",
        help="for emergencies: withdraw the present key and all it has signed",
    )
    rotating.add_argument(
        "--replace-unopened",
        action="store_true",
        help="--now, and replace keys that no key-encryption key opens",
    )
    text = "seal all that is sealed under the first key-encryption key"
    _add(top, "reseal-signing-keys", commands.reseal_signing_keys, text)
