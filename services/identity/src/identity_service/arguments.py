"""What can be typed after ``identity-service``: the commands and their arguments.

A command's function is named by its module, which is imported when the command runs:
``migrate`` imports half of what ``serve`` does.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from identity_service.settings import DatabaseSettings, ImportSettings, Settings
from service_kit.observability.process import version_text

Write = Callable[[str], None]
"""Writes one line for the operator."""

SERVE: Final = "serving:serve_requests"

TUTORIAL_URL: Final = "TUTORIAL_DATABASE_URL"

STANDARD_STREAM: Final = "-"

_BEYOND_ALL: Final = 2**63
"""No id and no line has this number, or a greater one."""

_Subparsers = Any
"""What `add_subparsers` returns, whose class argparse keeps private."""


def parser() -> argparse.ArgumentParser:
    """Return the parser; ``run`` becomes the name of the command's function."""
    made = argparse.ArgumentParser(
        prog="identity-service", description="Users, roles, sessions, signing keys."
    )
    made.add_argument("--version", action="version", version=version_text("identity"))
    made.set_defaults(settings=Settings)
    top = made.add_subparsers(required=True, metavar="command")
    _add(top, "serve", SERVE, "serve requests until SIGTERM")
    text = "name every fault of the settings; open nothing"
    _add(top, "check", "commands:check", text)
    _add_schema_commands(top)
    _add_user_commands(top)
    _add_mail_commands(_add(top, "mail", None, "list and resend mail"))
    _add_role_commands(_add(top, "roles", None, "list, add and remove roles"))
    for name, command, text in (
        (
            "plan",
            "commands:plan_file",
            "show how roles and settings differ from a file",
        ),
        ("apply", "commands:apply_file", "change roles to match such a file"),
    ):
        _add(top, name, command, text).add_argument("file", type=Path, metavar="FILE")
    _add_key_commands(top)
    text = (
        "end the sessions and keys that a restored backup revives; stop identity first"
    )
    _add(top, "after-restore", "commands:after_restore", text)
    text = "check that nobody changed the audit log"
    _add(top, "verify-audit", "commands:verify_audit", text)
    text = "check the database, clock, keys and throttle store"
    _add(top, "doctor", "commands:doctor", text)
    return made


def _add(
    subparsers: _Subparsers, name: str, command: str | None, text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=text, description=text
    )
    parser.set_defaults(run=command)
    return parser


def _add_schema_commands(top: _Subparsers) -> None:
    text = "update the database to the schema that this version needs"
    migrating = _add(top, "migrate", "schema_commands:migrate", text)
    text = "show the present schema, the one needed, and pending migrations"
    describing = _add(top, "schema", "schema_commands:describe_schema", text)
    for each in (migrating, describing):
        each.set_defaults(settings=DatabaseSettings)


def _add_user_commands(top: _Subparsers) -> None:
    text = "create an administrator, once"
    creating = _add(top, "create-admin", "commands:create_admin", text)
    creating.add_argument("--username", type=utf8, default="admin")
    creating.add_argument("--email", type=utf8, required=True)
    _add_password_arguments(creating)
    text = "import users, from lines of JSON or from the tutorial's database"
    importing = _add(top, "import-users", "moving_commands:import_users", text)
    importing.set_defaults(settings=ImportSettings)
    importing.add_argument(
        "--from",
        dest="source",
        metavar="URL",
        help="SQLAlchemy URL of the tutorial's database, if it holds no password;"
        f" otherwise set {TUTORIAL_URL} or {TUTORIAL_URL}_FILE",
    )
    _add_import_arguments(importing)
    text = "write every user, with their password hash, as a line of JSON"
    exporting = _add(top, "export-users", "moving_commands:export_users", text)
    _add_export_arguments(exporting)
    text = "give a user a temporary password; all their sessions end"
    resetting = _add(top, "reset-password", "commands:reset_password", text)
    resetting.add_argument("username", type=utf8, metavar="USERNAME")
    _add_password_arguments(resetting)
    text = "remove the second factors of a user who has lost them"
    removing = _add(top, "reset-factors", "commands:reset_factors", text)
    removing.add_argument("username", type=utf8, metavar="USERNAME")


def _add_password_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(read_password=True)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from one line of standard input",
    )
    source.add_argument(
        "--password-file", type=Path, help="read the password from a file"
    )


def _add_mail_commands(parser: argparse.ArgumentParser) -> None:
    subparsers = parser.add_subparsers(required=True, metavar="command")
    text = "list the mails that could not be sent"
    _add(subparsers, "list", "commands:list_mail", text).add_argument(
        "--waiting", action="store_true", help="list those that wait instead"
    )
    text = "resend mails that could not be sent"
    _add(subparsers, "resend", "commands:resend_mail", text).add_argument(
        "ids", type=utf8, nargs="*", metavar="ID", help="as listed (default: all)"
    )


def _add_role_commands(parser: argparse.ArgumentParser) -> None:
    subparsers = parser.add_subparsers(required=True, metavar="command")
    _add(subparsers, "list", "commands:list_roles", "list every role")
    text = "add a role, unless it exists"
    adding = _add(subparsers, "add", "commands:add_role", text)
    adding.add_argument("name", metavar="NAME")
    adding.add_argument(
        "--description", required=True, metavar="TEXT", help="what the role is for"
    )
    text = "remove a role that nobody has"
    removing = _add(subparsers, "remove", "commands:remove_role", text)
    removing.add_argument("name", metavar="NAME")


def _add_key_commands(top: _Subparsers) -> None:
    text = "let the next signing key sign now, ahead of schedule"
    rotating = _add(top, "rotate-signing-key", "commands:rotate_signing_key", text)
    rotating.add_argument(
        "--now",
        action="store_true",
        help="for emergencies: withdraw the present key and every token it signed",
    )
    rotating.add_argument(
        "--replace-unopened",
        action="store_true",
        help="as --now, and replace keys that no key-encryption key opens",
    )
    text = "reseal everything under the first key-encryption key"
    _add(top, "reseal-signing-keys", "commands:reseal_signing_keys", text)


def utf8(typed: str) -> str:
    """Return what was typed, or raise ValueError: no database takes other bytes.

    Its name is a word of what argparse says: "invalid utf8 value".
    """
    typed.encode()
    return typed


def number(typed: str) -> int:
    """Return the number of a user or a line, or raise ValueError, as `utf8` does."""
    found = int(typed)
    if not 0 <= found < _BEYOND_ALL:
        raise ValueError("there is no such number")
    return found


def _add_export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", default=STANDARD_STREAM, metavar="FILE", help="default: standard output"
    )
    _add_after_id(parser)


def _add_import_arguments(parser: argparse.ArgumentParser) -> None:
    _add_after_id(parser)
    parser.add_argument(
        "--lines", metavar="FILE", help="a file from export-users; - is standard input"
    )
    parser.add_argument(
        "--after-line", type=number, default=0, help="resume after this line"
    )


def _add_after_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--after-id", type=number, default=0, help="resume after this id (default: all)"
    )
