"""A page for each kind of problem, where its `type` leads (RFC 9457 section 3.1.1)."""

from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from gateway_service.console.pages import HTML, Page
from service_kit.problems import PROBLEMS, Problem

_TEMPLATE: Final = Template(
    files(__package__).joinpath("problem.html").read_text("utf-8")
)


def _page(title: str, content: str) -> Page:
    body = _TEMPLATE.substitute(title=escape(title), content=content)
    return Page.of(body.encode(), HTML)


def _of_problem(problem: Problem) -> Page:
    status = f"{problem.status.value} {problem.status.phrase}"
    return _page(
        problem.title,
        f"<p class='lead'>Code <code>{problem.code}</code>, status {status}.</p>\n"
        f"<h2>What happened</h2>\n<p>{escape(str(problem.text))}</p>\n"
        f"<h2>Why</h2>\n<p>{escape(problem.why)}</p>\n"
        f"<h2>What to do</h2>\n<p>{escape(problem.advice)}</p>",
    )


def _index() -> Page:
    rows = "\n".join(
        f"<tr><td><a href='/problems/{each.code}'><code>{each.code}</code></a></td>"
        f"<td>{each.status.value}</td><td>{escape(str(each.text))}</td></tr>"
        for each in PROBLEMS
    )
    return _page(
        "Problems",
        "<table>\n<thead><tr><th scope='col'>Code</th><th scope='col'>Status</th>"
        f"<th scope='col'>Message</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table>",
    )


def _pages() -> Iterator[tuple[str, Page]]:
    yield "/problems", _index()
    for each in PROBLEMS:
        yield f"/problems/{each.code}", _of_problem(each)


PROBLEM_PAGES: Final[Mapping[str, Page]] = dict(_pages())
"""By path."""
