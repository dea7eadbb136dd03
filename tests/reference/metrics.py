"""Write docs/reference/metrics.md from what the running product exports."""

import tempfile
from pathlib import Path
from signal import SIGTERM
from typing import Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from tests.reference.markdown import item
from tests.reference.pages import FOLDER, SERVICES
from tests.support.make_up import Running, Tree

PAGE: Final = FOLDER / "metrics.md"

_HEAD: Final = """\
# Metrics

`make docs` writes this page from what the running services export. Each service
serves `/metrics` on its internal port, as Prometheus text; each worker of the gateway
has an internal port of its own. Values of labels come from the code and the
configuration, never from a client.
"""


def page(tree: Tree) -> str:
    """Return the text of metrics.md, as the services of a running tree tell it."""
    found = {service: _families(exported(tree, service)) for service in SERVICES}
    everywhere = set.intersection(*(set(each) for each in found.values()))
    lines = [_HEAD, "## every service", ""]
    lines += [found["gateway"][name] for name in sorted(everywhere)]
    for service, families in found.items():
        own = [text for name, text in families.items() if name not in everywhere]
        lines += ["", f"## {service}", "", *own]
    return "\n".join([*lines, ""])


def exported(tree: Tree, service: str) -> str:
    """Return what a service of a running tree exports."""
    port = tree.ports[f"{service.upper()}_INTERNAL_PORT"]
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text: str = response.read().decode()
    return text


def _families(text: str) -> dict[str, str]:
    """Return an item for each family of metrics, by its name."""
    items = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        items[name] = item(f"`{name}` ({family.type}): {family.documentation}")
    return items


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Tree(Path(folder) / "tree"))
        try:
            PAGE.write_text(page(running.tree), "utf-8")
        finally:
            running.stop(SIGTERM)
