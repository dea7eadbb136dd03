"""``identity-service``: run what was typed."""

import getpass
import io
import pkgutil
import sys
from argparse import Namespace
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from identity_service import arguments as typed
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    IdentityError,
    UnusableFileError,
)
from identity_service.domain.fields import InvalidFieldError
from identity_service.settings import ImportSettings, Settings
from identity_service.storage.database_url import checked_url, file_fault
from identity_service.storage.faults import reason
from service_kit.files import PIPE_SECONDS, read_file
from service_kit.imports import uncollected
from service_kit.observability.logs import configure_logging
from service_kit.running.loop import Loop
from service_kit.running.output import OutputLostError, write_line, write_notices
from service_kit.running.server import exit_unusable, run, settings_or_exit

_REFUSED: Final = 1
_INTERRUPTED: Final = 130
"""By Ctrl-C, as shells say it: 128 and the signal's number."""
_LONGEST_PASSWORD: Final = 65_536
"""Bytes; what accepts a password knows a better bound."""

_Command = Callable[[Any, Namespace, typed.Write], Coroutine[Any, Any, int]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name."""
    parsed = typed.parser().parse_args(arguments)
    settings = settings_or_exit(parsed.settings)
    if fault := file_fault(settings.database_url):
        exit_unusable(f"setting IDENTITY_DATABASE_URL {fault}")
    with uncollected():
        command = pkgutil.resolve_name(f"identity_service.{parsed.run}")
    if parsed.run == typed.SERVE:
        run("identity", command, Settings)
        return
    configure_logging("identity", "error")
    if isinstance(sys.stdout, io.TextIOWrapper):  # names may not be of its encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if "read_password" in parsed:
            parsed.password = _password(parsed)
        if "source" in parsed and parsed.lines is None:
            parsed.source = _tutorial_url(parsed.source, settings)
    except ValueError as error:
        exit_unusable(str(error))
    try:
        sys.exit(_run(command, settings, parsed))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _run(command: _Command, settings: object, arguments: Namespace) -> int:
    try:
        work = command(settings, arguments, write_line)
        return uvloop.run(work, loop_factory=Loop)
    except DatabaseUnavailableError as error:
        exit_unusable(f"database: {error}")
    except (SQLAlchemyError, OSError) as error:
        exit_unusable(f"database: {reason(error)}")
    except (UnusableFileError, OutputLostError) as error:
        exit_unusable(str(error))
    except (IdentityError, InvalidFieldError) as error:
        why = str(error) or (type(error).__doc__ or "").partition("\n")[0]
        write_notices(why)
        return _REFUSED


def _password(arguments: Namespace) -> str | None:
    """Return the password that the operator gives, None to have one made."""
    if arguments.password_stdin:
        line = sys.stdin.buffer.readline(_LONGEST_PASSWORD)
        return _text(line, "standard input")
    if arguments.password_file is not None:
        return _read(arguments.password_file)
    if sys.stdin.isatty():
        try:
            return getpass.getpass("password (empty: have one made): ") or None
        except (EOFError, KeyboardInterrupt):
            raise ValueError("no password was given") from None
    return None


def _read(path: Path) -> str:
    try:
        content = read_file(path, longest=_LONGEST_PASSWORD, pipe_seconds=PIPE_SECONDS)
        return _text(content, "--password-file")
    except OSError as error:
        raise ValueError(f"--password-file cannot be read: {error.strerror}") from None


def _text(content: bytes, name: str) -> str:
    """Return a line without its end, and without the mark that some editors begin by.

    Raises ValueError.
    """
    try:
        return content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8") from None


def _tutorial_url(argument: str | None, settings: ImportSettings) -> str:
    """Return the URL of the tutorial's database, or raise ValueError."""
    if argument is None:
        if settings.tutorial_database_url is None:
            name = typed.TUTORIAL_URL
            raise ValueError(f"give {name}, {name}_FILE or --from")
        return settings.tutorial_database_url
    try:
        url = checked_url(argument)
    except ValueError as error:
        raise ValueError(f"--from {error}") from None
    if make_url(url).password:
        write_notices(
            "warning: every user who lists processes can read the password in --from:"
            f" use {typed.TUTORIAL_URL}_FILE"
        )
    return url
