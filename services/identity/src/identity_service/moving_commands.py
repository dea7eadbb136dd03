"""Commands that move users between deployments, and from the tutorial's database."""

import codecs
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
from typing import BinaryIO, Final

from identity_service.arguments import STANDARD_STREAM, Write
from identity_service.commands import with_services
from identity_service.composition import Services
from identity_service.domain.errors import UnusableFileError
from identity_service.security.password_hashing import is_readable_hash
from identity_service.storage.tutorial_tables import (
    TutorialTables,
    create_tutorial_engine,
)
from identity_service.usecases.importing.import_users import (
    DONE,
    Add,
    ImportedUsers,
    ImportReport,
    ImportRules,
    Outcome,
    import_tutorial_users,
)
from identity_service.usecases.importing.user_lines import from_line, to_line
from service_kit.running.output import write_notices
from service_kit.running.own_thread import in_own_thread

_PAGE: Final = 500
"""Users read from the database at a time."""

_BATCH: Final = 50
"""Lines of which the operator sees how far they are."""

_LONGEST_LINE: Final = 65_536
"""Bytes; a user with every role has some 5,000."""


@with_services
async def export_users(services: Services, arguments: Namespace, _: Write) -> int:
    """Write every user, with their password hash, as a line of JSON."""
    exported, after_id = 0, arguments.after_id
    with _written(arguments.to) as write:
        while users := await services.users.page("", after_id, _PAGE):
            text = "".join(f"{to_line(user)}\n" for user in users)
            await in_own_thread(partial(write, text))  # which may wait for its reader
            exported, after_id = exported + len(users), users[-1].id
            write_notices(f"{exported} exported, up to id {after_id}")
    return 0


@with_services
async def import_users(services: Services, arguments: Namespace, write: Write) -> int:
    """Bring users over, from lines or from the tutorial's database."""
    readable = partial(is_readable_hash, peppers=services.settings.password_peppers)
    rules = ImportRules(
        roles={role.name for role in await services.roles.all()},
        is_password_hash=readable,
        clock=services.clock,
    )
    add = ImportedUsers(services.database).add
    if arguments.lines is None:
        outcomes = await _import_tutorial(arguments, rules, add, write)
    else:
        outcomes = await _import_lines(arguments, rules, add, write)
    for outcome in filter(outcomes.get, Outcome):
        write(f"{outcomes[outcome]} {outcome.value}")
    return 0 if set(outcomes) <= DONE else 1


async def _import_tutorial(
    arguments: Namespace, rules: ImportRules, add: Add, write: Write
) -> Counter[Outcome]:
    tutorial = create_tutorial_engine(arguments.source)

    def progress(report: ImportReport) -> None:
        write(f"{report.done} of {report.total}, up to id {report.last_id}")

    try:
        report = await import_tutorial_users(
            TutorialTables(tutorial),
            add,
            rules=rules,
            progress=progress,
            after_id=arguments.after_id,
        )
    finally:
        await tutorial.dispose()
    for refusal in report.refusals:
        write(f"left behind: id {refusal.id}: {refusal.outcome.value}")
    return report.outcomes


async def _import_lines(
    arguments: Namespace, rules: ImportRules, add: Add, write: Write
) -> Counter[Outcome]:
    lines_there = _lines(arguments.lines)

    def skip(count: int) -> None:
        with _faults_of(arguments.lines):
            deque(islice(lines_there, count), maxlen=0)

    def read() -> list[bytes]:
        with _faults_of(arguments.lines):
            return list(islice(lines_there, _BATCH))

    outcomes: Counter[Outcome] = Counter()
    line_number = arguments.after_line
    await in_own_thread(partial(skip, arguments.after_line))
    while lines := await in_own_thread(read):  # which may wait for ever for a line
        found = [from_line(line, rules.clock()) for line in lines]
        users = [
            each if isinstance(each, Outcome) else rules.apply(each) for each in found
        ]
        for outcome in await add(users):
            line_number += 1
            outcomes[outcome] += 1
            if outcome not in DONE:
                write(f"left behind: line {line_number}: {outcome.value}")
        write_notices(f"up to line {line_number}")
    return outcomes


def _lines(name: str) -> Iterator[bytes]:
    """Yield each line, of one that is too long only its beginning.

    Raises `OSError`; `UnusableFileError`: they are in UTF-16, as some programs write
    them.
    """
    with _opened(name) as source:
        line = source.readline(_LONGEST_LINE)
        if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UnusableFileError(f"{name}: is in UTF-16: save it as UTF-8")
        line = line.removeprefix(codecs.BOM_UTF8)
        while line:
            yield line
            while line and not line.endswith(b"\n"):
                line = source.readline(_LONGEST_LINE)
            line = source.readline(_LONGEST_LINE)


def _opened(name: str) -> BinaryIO:
    """Open a file, or standard input once more.

    Python ends badly if a thread still reads what it has itself opened.
    """
    if name == STANDARD_STREAM:
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    return Path(name).open("rb")


@contextlib.contextmanager
def _written(name: str) -> Iterator[Callable[[str], None]]:
    """Yield what writes text to a new file, or to standard output.

    The file appears when all is written, and only its owner may read it: it holds
    password hashes.
    """
    if name == STANDARD_STREAM:
        yield partial(_write, sys.stdout.fileno(), name)
        return
    target = Path(name)
    with _faults_of(name):
        if target.exists():
            raise UnusableFileError(f"{name}: exists already")
        descriptor, temporary = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}-"
        )
    try:
        yield partial(_write, descriptor, name)
        with _faults_of(name):
            os.fsync(descriptor)
            os.close(descriptor)
            Path(temporary).rename(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write(descriptor: int, name: str, text: str) -> None:
    rest = memoryview(text.encode())
    with _faults_of(name):
        while rest:
            rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _faults_of(name: str) -> Iterator[None]:
    """Say of what fails that it is the file, not the database."""
    try:
        yield
    except OSError as error:
        raise UnusableFileError(f"{name}: {error.strerror}") from error
