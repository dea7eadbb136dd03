"""A newcomer with nothing but a clone and its README."""

from pathlib import Path

import pytest
from tests.support.make_up import ROOT, FreshTree
from tests.support.walkthrough import Walkthrough


@pytest.mark.timeout(600)
def test_the_readme_leads_from_a_clone_to_a_service_of_ones_own(tmp_path: Path) -> None:
    """Each command is run as pasted, and prints what the README shows."""
    tree = FreshTree(tmp_path / "gatehouse")
    with Walkthrough(tree) as walkthrough:
        walkthrough.follow((ROOT / "README.md").read_text("utf-8"))
