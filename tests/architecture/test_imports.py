"""No package imports in a circle: neither its modules nor its folders."""

from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PACKAGES = ("service_kit", "identity_service", "content_service", "gateway_service")


@cache
def graph_of(package: str) -> grimp.ImportGraph:
    return grimp.build_graph(package, cache_dir=None)


def circle_in(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names of one circle, or none if there is no circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def imports_within(package: str, folder: str) -> dict[str, set[str]]:
    """Return what the modules and folders of one folder import of each other."""
    graph = graph_of(package)
    depth = folder.count(".") + 2

    def part_of(module: str) -> str:
        return ".".join(module.split(".")[:depth])

    imports: dict[str, set[str]] = {}
    for module in graph.find_descendants(folder):
        found = imports.setdefault(part_of(module), set())
        for imported in graph.find_modules_directly_imported_by(module):
            if imported.startswith(f"{folder}."):
                found.add(part_of(imported))
        found.discard(part_of(module))
    return imports


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_do_not_import_in_a_circle(package: str) -> None:
    graph = graph_of(package)
    assert not circle_in(
        {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_do_not_import_in_a_circle(package: str) -> None:
    graph = graph_of(package)
    folders = [each for each in graph.modules if graph.find_children(each)]
    circles = {each: circle_in(imports_within(package, each)) for each in folders}
    assert not {each: circle for each, circle in circles.items() if circle}
