"""A newcomer with nothing but a clone and its README."""

import shutil
from pathlib import Path
from typing import Final

import pytest
from tests.support.make_up import AWKWARD, ROOT, FreshTree
from tests.support.missing import skip_missing
from tests.support.walkthrough import Walkthrough

GUIDES: Final = (
    *("guides/own-service.md", "guides/resource-and-role.md", "guides/front-end.md"),
    "tutorial.md",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> FreshTree:
    """One copy of the tree for all guides: each takes half a minute to set up."""
    return FreshTree(tmp_path_factory.mktemp("guides") / AWKWARD)


@pytest.mark.timeout(600)
def test_the_readme_leads_from_a_clone_to_a_service_of_ones_own(tmp_path: Path) -> None:
    """Each command is run as pasted, and prints what the README shows."""
    tree = FreshTree(tmp_path / AWKWARD)
    (tmp_path / "aiohttp.py").write_text("raise ImportError('of another program')")
    tree.environment["PYTHONPATH"] = str(tmp_path)
    with Walkthrough(tree) as walkthrough:
        walkthrough.follow((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_leads_where_it_says(tree: FreshTree, name: str) -> None:
    if shutil.which("npm") is None:
        skip_missing("npm is not installed")
    with Walkthrough(tree) as walkthrough:
        walkthrough.follow((ROOT / "docs" / name).read_text("utf-8"))
