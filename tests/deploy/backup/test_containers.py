"""The database of the containers, which is reached through Compose."""

import gzip
import subprocess
from pathlib import Path
from typing import Final

import pytest
from tests.deploy.backup.commands import ROOT, done, run


def test_compose_runs_where_the_files_of_its_environment_are(
    compose: dict[str, str], tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    linked = tmp_path / "linked"
    linked.symlink_to(ROOT / "deploy" / "backup" / "backup")
    command = [str(linked), backup.name]
    done(
        subprocess.run(
            command,
            cwd=tmp_path,
            env=compose,
            capture_output=True,
            text=True,
            check=False,
        )
    )
    done(run("restore", backup, environ=compose))
    notes = Path(compose["NOTES"]).read_text().splitlines()
    dump, check = notes[1:3]
    assert "mysqldump" in dump
    assert {line.partition(" ")[0] for line in notes} == {str(ROOT)}
    assert "identity check" in check, "before identity is stopped"
    assert not [line for line in notes if "content" in line], "it need not stop"


def test_identity_serves_on_where_no_database_can_be_replaced(
    compose: dict[str, str], tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    done(run("backup", backup, environ=compose))
    compose["AWAY"] = "mysql"
    refused = run("restore", backup, environ=compose)
    assert refused.returncode == 1
    assert "again" not in refused.stderr
    assert "stop identity" not in Path(compose["NOTES"]).read_text()


def test_all_that_a_program_says_of_its_failure_is_one_line(
    compose: dict[str, str], tmp_path: Path
) -> None:
    compose["COMPLAINT"] = "no backup.cnf here\nProgram aborted!"
    refused = run("backup", tmp_path / "backup", environ=compose)
    assert refused.returncode == 1
    assert refused.stderr == "backup: no backup.cnf here; Program aborted!\n"


def test_what_compose_cannot_restore_is_not_backed_up(
    compose: dict[str, str], tmp_path: Path
) -> None:
    compose["DUMP"] = "CREATE TABLE `another` ("
    refused = run("backup", tmp_path / "backup", environ=compose)
    assert refused.returncode == 1
    assert refused.stderr.endswith("no backup is made\n"), refused.stderr
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize(
    ("known", "given"),
    [
        pytest.param("", [], id="MariaDB"),
        pytest.param("--set-gtid-purged[=name]", ["--set-gtid-purged=OFF"], id="8.4"),
        pytest.param(
            "--set-gtid-purged[=name] use --skip-masking-policies to disable",
            ["--set-gtid-purged=OFF", "--skip-masking-policies"],
            id="9.7",
        ),
    ],
)
def test_a_program_gets_the_options_that_it_knows(
    compose: dict[str, str], tmp_path: Path, known: str, given: list[str]
) -> None:
    compose["KNOWN"] = known
    done(run("backup", tmp_path / "backup", environ=compose))
    *_, dump = Path(compose["NOTES"]).read_text().splitlines()
    options = dump.split()
    assert [each for each in options if "gtid" in each or "masking" in each] == given


def test_a_dump_of_mariadb_is_not_given_to_mysql(
    compose: dict[str, str], tmp_path: Path
) -> None:
    """Its client would stop at the first line, when the database is dropped already."""
    backup = tmp_path / "backup"
    dump = f"{SANDBOX}\nCREATE TABLE `signing_keys` (\n-- Dump completed\n"
    backup.write_bytes(gzip.compress(dump.encode()))
    refused = run("restore", backup, environ=compose)
    assert refused.returncode == 1
    assert refused.stderr.endswith("; nothing was changed\n")
    assert not Path(compose["NOTES"]).exists()


SANDBOX: Final = r"/*M!999999\- enable the sandbox mode */ "
