"""Write docs/reference/metrics.md from what the running product exports."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from tests.reference.pages import FOLDER, item
from tests.support.make_up import Running, Tree

PAGE: Final = FOLDER / "metrics.md"

_HEAD: Final = """\
# Metrics

`make docs` writes this page from what the running services export. Each service
serves `/metrics` on its internal port, as Prometheus text. Where counts of attempts are
shared in Valkey, identity exports `identity_throttle_fallbacks_total` too: how many
questions memory answered because Valkey did not.
"""


def page(tree: Tree) -> str:
    """Return the text of metrics.md, as the services of a running tree tell it."""
    lines = [_HEAD]
    for service in ("gateway", "identity", "content"):
        port = tree.ports[f"{service.upper()}_INTERNAL_PORT"]
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
            exported = response.read().decode()
        lines += [f"## {service}", "", *_families(exported), ""]
    return "\n".join(lines)


def _families(exported: str) -> Iterator[str]:
    for family in text_string_to_metric_families(exported):
        if not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield item(f"`{name}` ({family.type}): {family.documentation}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Tree(Path(folder) / "tree"))
        try:
            PAGE.write_text(page(running.tree), "utf-8")
        finally:
            running.stop(SIGTERM)
