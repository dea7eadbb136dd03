"""What the images are made of: listed whole, and under licences that we may pass on."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from deploy.sbom import IMAGES, LOCKS, document, licence

ROOT: Final = Path(__file__).parents[2]

ALLOWED: Final = {
    "0BSD",
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT License",
    "MIT-0",
    "MPL-2.0",  # certifi: unchanged files of its own
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
    "The Unlicense (Unlicense)",
}
"""Licences that ask to be named, and for nothing of our own files."""

each_image = pytest.mark.parametrize("image", IMAGES)


def test_actions_of_ci_are_pinned_to_their_commits() -> None:
    """A tag can be moved to another commit, which would run with the sources."""
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    used = re.findall(r"uses: \S+@(\S+)", workflow)
    assert used
    assert all(re.fullmatch("[0-9a-f]{40}", each) for each in used), used


@each_image
def test_document_lists_the_whole_lock(image: str) -> None:
    made = document(image)
    lock = (LOCKS / f"{image}.txt").read_text()
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    listed = [(each["name"], each["version"]) for each in made["components"]]
    assert listed == [(name.lower(), version) for name, version in pins]
    for each in made["components"]:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
        assert each["hashes"]
        assert all(len(hashed["content"]) == 64 for hashed in each["hashes"])


def test_the_same_locks_give_the_same_documents(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        script, target = ROOT / "deploy" / "sbom.py", tmp_path / folder
        command = [sys.executable, str(script), str(target)]
        subprocess.run(command, check=True, capture_output=True)
    for image in IMAGES:
        one, other = (tmp_path / f / f"{image}.cdx.json" for f in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()
        assert json.loads(one.read_text())["bomFormat"] == "CycloneDX"


@each_image
def test_every_licence_is_allowed(image: str) -> None:
    stated = {
        each["name"]: licence(each["name"]) for each in document(image)["components"]
    }
    foreign = {
        name: text
        for name, text in stated.items()
        if text and not set(re.split(r" (?:AND|OR) ", text)) <= ALLOWED
    }
    assert not foreign
    unknown = [name for name, text in stated.items() if not text]
    assert len(unknown) <= len(stated) / 5, "they are not installed here"
