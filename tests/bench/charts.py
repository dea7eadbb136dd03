"""Charts of what the benches measured, as SVG files that the documents show."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pygal  # type: ignore[import-untyped] # it has no types
from pygal.style import CleanStyle  # type: ignore[import-untyped]

FOLDER: Final = Path(__file__).parents[2] / "docs" / "figures"


def show(
    name: str,
    title: str,
    x: tuple[str, Sequence[object]],
    y: str,
    lines: Mapping[str, Sequence[float | None]],
) -> None:
    """Print a curve, and draw it."""
    rows = [f"\n{title}, {y}", f"{x[0]:28} " + " ".join(f"{each:>9}" for each in x[1])]
    for label, values in lines.items():
        points = " ".join(f"{value:9.2f}" for value in values if value is not None)
        rows.append(f"{label:28} {points}")
    sys.stdout.write("\n".join(rows) + "\n")
    sys.stdout.flush()
    chart = pygal.Line(
        title=title,
        x_title=x[0],
        y_title=y,
        x_labels=[f"{each}" for each in x[1]],
        style=CleanStyle,
        js=(),  # a document's picture asks no other site for a script
        width=760,
        height=420,
        range=(0, max(v for line in lines.values() for v in line if v is not None)),
        legend_at_bottom=True,
        no_prefix=True,
    )
    for label, values in lines.items():
        chart.add(label, [None if v is None else round(v, 2) for v in values])
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_bytes(chart.render(is_unicode=False))
