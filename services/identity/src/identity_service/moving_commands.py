"""Commands that move users between deployments, as lines of JSON."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from identity_service.commands import Say, composed_services, import_tutorial_users
from identity_service.security.password_hashing import is_readable_hash
from identity_service.settings import Settings
from identity_service.usecases.accounts.user_lines import (
    BATCH,
    UserLine,
    from_line,
    to_line,
)
from identity_service.usecases.import_users import DONE, Outcome

_STANDARD: Final = "-"


def add_export_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``export-users``."""
    parser.add_argument(
        "--to", default=_STANDARD, metavar="FILE", help="default: standard output"
    )
    parser.add_argument(
        "--after-id", type=int, default=0, help="go on after this id (default: all)"
    )


def add_import_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``import-users`` that are about lines."""
    parser.add_argument(
        "--lines", metavar="FILE", help="of export-users; - is standard input"
    )
    parser.add_argument(
        "--after-line", type=int, default=0, help="go on after this line"
    )


async def export_users(settings: Settings, arguments: Namespace, _: Say) -> int:
    """Write every user as a line; how far it came is said on standard error."""
    is_standard = arguments.to == _STANDARD
    target = sys.stdout if is_standard else await asyncio.to_thread(_open, arguments.to)
    exported = 0
    try:
        async with composed_services(settings) as services:
            async for users in services.accounts.user_lines.pages(arguments.after_id):
                text = "".join(f"{to_line(user)}\n" for user in users)
                await asyncio.to_thread(_write, target, text)
                exported += len(users)
                sys.stderr.write(f"{exported} exported, up to id {users[-1].id}\n")
    finally:
        if not is_standard:
            target.close()
    return 0


async def import_users(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Bring users over: from lines if a file of them is given, else the tutorial's."""
    if arguments.lines is None:
        return await import_tutorial_users(settings, arguments, say)
    is_standard = arguments.lines == _STANDARD
    source = (
        sys.stdin if is_standard else await asyncio.to_thread(open, arguments.lines)
    )
    outcomes: Counter[Outcome] = Counter()
    number = arguments.after_line
    try:
        await asyncio.to_thread(lambda: list(islice(source, arguments.after_line)))
        async with composed_services(settings) as services:
            roles = {role.name for role in await services.roles.all()}
            while lines := await asyncio.to_thread(lambda: list(islice(source, BATCH))):
                judged = [
                    from_line(
                        line,
                        roles=roles,
                        is_password_hash=is_readable_hash,
                        now=services.clock(),
                    )
                    for line in lines
                ]
                good = [each for each in judged if isinstance(each, UserLine)]
                added = iter(await services.accounts.user_lines.add(good))
                for each in judged:
                    number += 1
                    outcome = next(added) if isinstance(each, UserLine) else each
                    outcomes[outcome] += 1
                    if outcome not in DONE:
                        say(f"left behind: line {number}: {outcome.value}")
                sys.stderr.write(f"up to line {number}\n")
    finally:
        if not is_standard:
            source.close()
    for outcome, count in outcomes.items():
        say(f"{count} {outcome.value}")
    return 0 if set(outcomes) <= DONE else 1


def _open(path: str) -> TextIO:
    """Open a file that only its owner may read: it holds password hashes."""
    file = Path(path)
    file.touch(mode=0o600)
    return file.open("w", encoding="utf-8")


def _write(target: TextIO, text: str) -> None:
    target.write(text)
    target.flush()
