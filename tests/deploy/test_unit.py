"""`deploy/compose/gatehouse.service`, as systemd understands it."""

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.missing import skip_missing

UNIT: Final = Path(__file__).parents[2] / "deploy/compose/gatehouse.service"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        skip_missing("systemd-analyze is not installed")
    engine = "[Service]\nExecStart=/bin/true\n"
    (tmp_path / "docker.service").write_text(engine)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/docker", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_containers_follow_every_start_of_the_engine() -> None:
    """`PartOf` follows a restart alone, an upgrade stops the engine and starts it."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    assert unit["Unit"]["PartOf"] == "docker.service"
    assert "docker.service" in unit["Install"]["WantedBy"].split()
    assert "docker.service" in unit["Unit"]["After"].split()
