"""Back identity's database up, and restore it.

The database is the one that IDENTITY_DATABASE_URL (or …_FILE) names, and without it
that of the containers of docker-compose.yml. It needs nothing but Python 3.11 and the
database's own client programs, or Docker.

The keys in the secrets are not in a backup: anybody who has both can sign tokens. Back
them up elsewhere, with --secrets.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deploy.backup.databases import Database, find_database
from deploy.backup.files import BackupError, reading, writing
from deploy.backup.secrets import are_secrets, load_secrets, save_secrets


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when all is done, 1 with one line on stderr if not."""
    parsed = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        parsed.run(parsed)
    except BackupError as error:
        reason = str(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = f"{place}{error.strerror}"
    else:
        return 0
    print(f"{parsed.command}: {reason}", file=sys.stderr)
    return 1


def _end(number: int, _: object) -> NoReturn:
    """End as the signal wants it, once what is half done has been taken away."""
    raise SystemExit(128 + number)


def _backup(parsed: argparse.Namespace) -> None:
    if parsed.secrets:
        if parsed.passphrase_file is None:
            raise BackupError("secrets are kept encrypted only: --passphrase-file")
        with writing(parsed.file, parsed.passphrase_file, are_secrets) as target:
            save_secrets(target)
    else:
        database = find_database(os.environ)
        with writing(parsed.file, parsed.passphrase_file, database.can_load) as target:
            database.dump(target)
    print(f"backup: {parsed.file}, {parsed.file.stat().st_size} bytes")


def _restore(parsed: argparse.Namespace) -> None:
    if parsed.secrets:
        with reading(parsed.file, parsed.passphrase_file, are_secrets) as source:
            load_secrets(source, replaces=parsed.force)
        print("restore: the keys are in place: restore the database now")
        return
    database = find_database(os.environ)
    with reading(parsed.file, parsed.passphrase_file, database.can_load) as source:
        _check(database)
        database.stop_service()
        try:
            database.load(source)
            # What a backup brings back to life is ended.
            database.identity("migrate")
            database.identity("after-restore")
            database.finish()
        except BaseException:
            print("restore: restore again before identity serves", file=sys.stderr)
            raise
    database.start_service()
    print("restore: done; what was ended after the backup stays ended")


def _check(database: Database) -> None:
    """Find what would go wrong later while the database is still as it was."""
    try:
        database.identity("check")
    except BackupError:
        text = "identity has to run here afterwards, with all its settings"
        raise BackupError(f"{text}; nothing was changed") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy/backup/", description=__doc__)
    subparsers = parser.add_subparsers(required=True, dest="command")
    for name, run, text in (
        ("backup", _backup, "write a backup to FILE, which must not exist"),
        ("restore", _restore, "replace everything by the backup in FILE"),
    ):
        subparser = subparsers.add_parser(
            name,
            description=f"{text}. {__doc__}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        subparser.set_defaults(run=run)
        subparser.add_argument("file", type=Path, metavar="FILE")
        subparser.add_argument(
            "--passphrase-file",
            type=Path,
            metavar="PATH",
            help="the backup is encrypted with what stands in this file (needs gpg)",
        )
        subparser.add_argument(
            "--secrets",
            action="store_true",
            help="the keys that the containers have made, in place of the database",
        )
        if run is _restore:
            subparser.add_argument(
                "--force",
                action="store_true",
                help="with --secrets: replace other keys that are there",
            )
    return parser


if __name__ == "__main__":
    sys.exit(main())
