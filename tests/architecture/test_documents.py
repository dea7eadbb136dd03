"""What the documents name is there."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DECISIONS: Final = ROOT / "docs" / "decisions"
HANDLERS: Final = "services/identity/src/identity_service/handlers"
MAX_LINE: Final = 120
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_NAME: Final = re.compile(
    r"\b(?:(?:IDENTITY|CONTENT|GATEWAY(?!_UPSTREAM)|TUTORIAL)_[A-Z_]*[A-Z]"
    r"|(?:identity|content|gateway)_[a-z_]*[a-z])\b"
)
"""Settings and metrics, for example."""
_BINARY: Final = {".digests", ".png"}
_FENCED: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH: Final = re.compile(
    r"`((?:shared|services|gateway|deploy|tests|docs)/[\w./-]+?)(?:::(\w+))?`"
)


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", pattern],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def anchors(document: Path) -> set[str]:
    """Return what links to a document's headings are called."""
    headings = _HEADING.findall(_FENCED.sub("", document.read_text("utf-8")))
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


DOCUMENTS: Final = tracked("*.md")
IDS: Final = [str(document.relative_to(ROOT)) for document in DOCUMENTS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for path, anchor in _LINK.findall(document.read_text("utf-8")):
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_path_is_there_and_holds_the_test_named(document: Path) -> None:
    missing = []
    for path, name in _PATH.findall(document.read_text("utf-8")):
        file = ROOT / path
        if path.startswith("deploy/secrets"):
            continue  # made by operators, kept out of the repository
        if not file.exists() or (name and f"def {name}(" not in file.read_text()):
            missing.append(f"{path}::{name}")
    assert not missing


def test_every_setting_and_metric_that_is_named_is_there() -> None:
    described = {file for file in DOCUMENTS if file.parent.name == "reference"}
    known = {
        word
        for file in {*tracked("*")} - {*DOCUMENTS} | described
        if file.is_file() and file.suffix not in _BINARY
        for word in _NAME.findall(file.read_text("utf-8"))
    }
    missing = [
        (document.name, name)
        for document in {*DOCUMENTS} - described - {ROOT / "CHANGELOG.md"}
        for name in _NAME.findall(document.read_text("utf-8"))
        if name.removesuffix("_FILE") not in known
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_no_line_is_longer_than_120_characters(document: Path) -> None:
    lines = enumerate(document.read_text("utf-8").splitlines(), start=1)
    assert not [number for number, line in lines if len(line) > MAX_LINE]


def test_the_index_of_decisions_names_each_by_its_title() -> None:
    index = (DECISIONS / "README.md").read_text("utf-8").splitlines()
    expected = []
    for record in sorted(DECISIONS.glob("0*.md")):
        title = record.read_text("utf-8").partition("\n")[0].partition(". ")[2]
        expected.append(f"- [{record.name[:4]}]({record.name}): {title}")
    assert [line for line in index if line.startswith("- ")] == expected
    numbers = [record.name[:4] for record in DECISIONS.glob("0*.md")]
    assert len(numbers) == len(set(numbers))


def test_the_endpoint_that_contributing_shows_is_the_code() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (shown,) = ast.parse(text.partition("```python\n")[2].partition("```")[0]).body
    assert isinstance(shown, ast.AsyncFunctionDef)
    module = ROOT / HANDLERS / "administration" / "roles.py"
    assert ast.dump(shown) in map(ast.dump, ast.parse(module.read_text("utf-8")).body)


def lines_of_the_tree() -> Iterator[tuple[str, str]]:
    for file in tracked("*"):
        if file.is_file() and file.suffix not in _BINARY:
            for line in file.read_text("utf-8").splitlines():
                yield str(file.relative_to(ROOT)), line


def test_the_tree_names_no_registry_and_no_place_of_one_machine() -> None:
    unwanted = re.compile(
        r"//[^ /]*(pypi|pythonhosted|npmjs|debian)[^ /]*[.](org|com)"
        r"|[\"' =(](?:/root|/home/\w+|/work)/"
    )
    found = [
        (file, line)
        for file, line in lines_of_the_tree()
        if unwanted.search(line) and not file.endswith("test_documents.py")
    ]
    assert not found
