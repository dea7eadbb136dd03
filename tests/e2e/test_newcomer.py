"""A newcomer with nothing but a clone and its README."""

import shutil
from pathlib import Path
from typing import Final

import pytest
from tests.support.make_up import ROOT, FreshTree
from tests.support.missing import skip_missing
from tests.support.walkthrough import Walkthrough

GUIDES: Final = ROOT / "docs" / "guides"


@pytest.mark.timeout(600)
def test_the_readme_leads_from_a_clone_to_a_service_of_ones_own(tmp_path: Path) -> None:
    """Each command is run as pasted, and prints what the README shows."""
    tree = FreshTree(tmp_path / "gatehouse")
    with Walkthrough(tree) as walkthrough:
        walkthrough.follow((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", ["own-service.md", "resource-and-role.md", "front-end.md"]
)
def test_a_guide_leads_where_it_says(tmp_path: Path, name: str) -> None:
    if shutil.which("npm") is None:
        skip_missing("npm is not installed")
    tree = FreshTree(tmp_path / "gatehouse")
    with Walkthrough(tree) as walkthrough:
        walkthrough.follow((GUIDES / name).read_text("utf-8"))
