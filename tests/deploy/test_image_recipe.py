"""What deploy/Dockerfile promises, read from the file itself."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in lines.splitlines() if line.strip()]
    return [(name, rest) for name, rest in found]


INSTRUCTIONS: Final = _instructions()


def _final_stage() -> list[tuple[str, str]]:
    starts = [i for i, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM"]
    return INSTRUCTIONS[starts[-1] :]


def _all(name: str) -> list[str]:
    return [rest for found, rest in INSTRUCTIONS if found == name]


def test_both_stages_stand_on_one_pinned_image() -> None:
    first, last = (line.split()[0] for line in _all("FROM"))
    assert (first, last) == ("${BUILD_IMAGE}", "${PYTHON_IMAGE}")
    assert "PYTHON_IMAGE=python:3.14-slim-trixie" in _all("ARG")
    assert "BUILD_IMAGE=${PYTHON_IMAGE}" in _all("ARG")


def test_the_final_stage_runs_nothing_while_it_is_built() -> None:
    names = [name for name, _ in _final_stage()]
    assert "RUN" not in names
    assert "ADD" not in names
    copied = [rest for name, rest in _final_stage() if name == "COPY"]
    assert copied == ["--from=build /image/ /"]


def test_the_process_is_not_root() -> None:
    [user] = [rest for name, rest in _final_stage() if name == "USER"]
    uid, gid = user.split(":")
    assert int(uid) >= 10_000
    assert int(gid) >= 10_000


def test_commands_need_no_shell() -> None:
    final = dict(_final_stage())
    assert final["ENTRYPOINT"].startswith("[")
    assert final["CMD"].startswith("[")
    assert re.search(
        r'CMD \["[^"]+python3", "-m", "service_kit.healthcheck"\]', final["HEALTHCHECK"]
    )


def test_nothing_is_installed_without_its_hash() -> None:
    installs = re.findall(r"pip [^&]*?install [^&]*", " && ".join(_all("RUN")))
    assert len(installs) == 4
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install


def test_no_compiler_and_no_package_manager_is_called() -> None:
    commands = " ".join(_all("RUN"))
    assert not re.search(r"\b(apt|apt-get|apk|gcc|cc|make|curl|wget)\b", commands)
    assert commands.count("--only-binary :all:") == 3


def test_modules_are_compiled_only_where_it_is_asked_for() -> None:
    assert "COMPILE=false" in _all("ARG")


def test_the_image_says_what_it_is() -> None:
    labels = " ".join(rest for name, rest in _final_stage() if name == "LABEL")
    for label in ("title", "version", "revision", "base.name"):
        assert f"org.opencontainers.image.{label}=" in labels


def test_the_engine_is_sent_sources_only() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {rule for rule in rules if rule.startswith("!")}
    assert sent == {"!deploy/requirements/*.txt", "!shared", "!services", "!gateway"}
