"""Commands that move users between deployments, as lines of JSON."""

import asyncio
import contextlib
import os
import sys
import tempfile
from argparse import Namespace
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from identity_service.arguments import STANDARD_STREAM, Write
from identity_service.commands import composed_services, import_tutorial_users
from identity_service.domain.errors import UnusableFileError
from identity_service.security.password_hashing import is_readable_hash
from identity_service.settings import Settings
from identity_service.usecases.accounts.user_lines import (
    BATCH,
    UserLine,
    from_line,
    to_line,
)
from identity_service.usecases.importing.import_users import DONE, Outcome

_LONGEST_LINE: Final = 65_536
"""Bytes; a user with every role has some 5,000."""


async def export_users(settings: Settings, arguments: Namespace, _: Write) -> int:
    """Write every user as a line; how far it came is said on standard error."""
    exported = 0
    with _written(arguments.to) as write:
        async with composed_services(settings) as services:
            async for users in services.accounts.user_lines.pages(arguments.after_id):
                text = "".join(f"{to_line(user)}\n" for user in users)
                await asyncio.to_thread(write, text)
                exported += len(users)
                sys.stderr.write(f"{exported} exported, up to id {users[-1].id}\n")
    return 0


async def import_users(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Bring users over: from lines if a file of them is given, else the tutorial's."""
    if arguments.lines is None:
        return await import_tutorial_users(settings, arguments, write)
    is_standard = arguments.lines == STANDARD_STREAM
    source = sys.stdin.buffer if is_standard else _opened(arguments.lines)
    lines_there = _lines(source)

    def skip(count: int) -> None:
        with _faults_of(arguments.lines):
            deque(islice(lines_there, count), maxlen=0)

    def read() -> list[bytes]:
        with _faults_of(arguments.lines):
            return list(islice(lines_there, BATCH))

    outcomes: Counter[Outcome] = Counter()
    line_number = arguments.after_line
    readable = partial(is_readable_hash, peppers=settings.password_peppers)
    try:
        await asyncio.to_thread(skip, arguments.after_line)
        async with composed_services(settings) as services:
            roles = {role.name for role in await services.roles.all()}
            while lines := await asyncio.to_thread(read):
                judged = [
                    from_line(
                        line,
                        roles=roles,
                        is_password_hash=readable,
                        now=services.clock(),
                    )
                    for line in lines
                ]
                good = [each for each in judged if isinstance(each, UserLine)]
                added = iter(await services.accounts.user_lines.add(good))
                for each in judged:
                    line_number += 1
                    outcome = next(added) if isinstance(each, UserLine) else each
                    outcomes[outcome] += 1
                    if outcome not in DONE:
                        write(f"left behind: line {line_number}: {outcome.value}")
                sys.stderr.write(f"up to line {line_number}\n")
    finally:
        if not is_standard:
            source.close()
    for outcome, count in outcomes.items():
        write(f"{count} {outcome.value}")
    return 0 if set(outcomes) <= DONE else 1


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """Yield each line, of one that is too long only its beginning."""
    while line := source.readline(_LONGEST_LINE):
        yield line
        while line and not line.endswith(b"\n"):
            line = source.readline(_LONGEST_LINE)


@contextlib.contextmanager
def _written(name: str) -> Iterator[Callable[[str], None]]:
    """Yield what writes text to a new file, or to standard output.

    The file appears when all is written, and only its owner may read it: it holds
    password hashes.
    """
    if name == STANDARD_STREAM:
        yield partial(_write, sys.stdout, name)
        return
    target = Path(name)
    with _faults_of(name):
        if target.exists():
            raise UnusableFileError(f"{name}: exists already")
        descriptor, temporary = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}-"
        )
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield partial(_write, file, name)
            with _faults_of(name):
                os.fsync(descriptor)
        with _faults_of(name):
            Path(temporary).rename(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write(target: TextIO, name: str, text: str) -> None:
    with _faults_of(name):
        target.write(text)
        target.flush()


def _opened(name: str) -> BinaryIO:
    with _faults_of(name):
        return Path(name).open("rb")


@contextlib.contextmanager
def _faults_of(name: str) -> Iterator[None]:
    """Say of what fails that it is the file, not the database."""
    try:
        yield
    except OSError as error:
        raise UnusableFileError(f"{name}: {error.strerror}") from error
