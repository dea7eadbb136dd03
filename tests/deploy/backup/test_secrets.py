"""Backups of the keys in the secrets."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from deploy.backup.files import writing
from deploy.backup.secrets import NAMES, are_secrets
from tests.deploy.backup.commands import ROOT, done, run
from tests.support.missing import skip_missing


def test_secrets_are_never_kept_in_the_clear(tmp_path: Path) -> None:
    refused = run("backup", "--secrets", tmp_path / "keys", environ={})
    assert refused.returncode == 1
    assert "--passphrase-file" in refused.stderr


def test_keys_replace_other_keys_only_by_force(
    tmp_path: Path, passphrase: Path
) -> None:
    if os.geteuid() != 0:
        skip_missing("only root may give the files to identity's user")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    secrets = tmp_path / "deploy" / "secrets"
    shutil.rmtree(secrets, ignore_errors=True)
    secrets.mkdir()
    keys, peppers = secrets / NAMES[0], secrets / NAMES[1]
    backup = tmp_path / "backup"
    with writing(backup, passphrase, are_secrets) as target:
        target.write(json.dumps(dict.fromkeys(NAMES, "of the backup")).encode())

    def restore(*options: str) -> subprocess.CompletedProcess[str]:
        command = [str(tmp_path / "deploy/backup/restore"), "--secrets", str(backup)]
        command += ["--passphrase-file", str(passphrase), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert restore().returncode == 0
    assert restore().returncode == 0, "the same keys are there"
    keys.unlink()
    keys.write_text("in use")
    peppers.unlink()
    refused = restore()
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert (keys.read_text(), peppers.exists()) == ("in use", False)
    assert restore("--force").returncode == 0
    for file in (keys, peppers):
        assert file.read_text() == "of the backup"
        assert file.stat().st_mode & 0o777 == 0o400
    assert sorted(secrets.iterdir()) == sorted((keys, peppers))


@pytest.mark.parametrize(("present", "replaces"), [("made", True), ("kept", False)])
def test_keys_that_the_containers_have_only_just_made_are_replaced(
    compose: dict[str, str],
    tmp_path: Path,
    passphrase: Path,
    present: str,
    *,
    replaces: bool,
) -> None:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    shutil.rmtree(tmp_path / "deploy" / "secrets", ignore_errors=True)
    backup = tmp_path / "backup"
    with writing(backup, passphrase, are_secrets) as target:
        target.write(json.dumps(dict.fromkeys(NAMES, "of the backup")).encode())
    command = [str(tmp_path / "deploy/backup/restore"), "--secrets", str(backup)]
    command += ["--passphrase-file", str(passphrase)]
    environ = {**compose, "HOME": os.environ["HOME"], "SECRETS": present}
    done(
        subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False
        )
    )
    notes = Path(compose["NOTES"]).read_text()
    assert notes.startswith(f"{tmp_path} compose run --rm --no-deps -T secrets\n")
    assert notes.rstrip().endswith("/secrets/identity --force") is replaces
