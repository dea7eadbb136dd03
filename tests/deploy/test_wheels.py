"""`make wheels`: the kit can be installed where this repository is not."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "docs" / "examples" / "plain_asyncio.py"
SHOW: Final = "import plain_asyncio, service_kit.auth; print(service_kit.auth.__file__)"


def test_the_kits_wheel_runs_the_example_elsewhere(tmp_path: Path) -> None:
    made = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "-w", tmp_path, ROOT / "shared"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("service_kit-*.whl")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site_packages,) = venv.glob("lib/python3*/site-packages")
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    python = venv / "bin" / "python"
    options = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run([python, "-m", "pip", "install", *options, wheel], check=True)
    (tmp_path / EXAMPLE.name).write_text(EXAMPLE.read_text("utf-8"), "utf-8")

    ran = subprocess.run(
        [python, "-c", SHOW], cwd=tmp_path, check=True, capture_output=True, text=True
    )

    assert ran.stdout.strip() == str(site_packages / "service_kit" / "auth.py")
