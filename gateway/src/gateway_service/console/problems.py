"""A page for each kind of problem, where its `type` leads (RFC 9457 section 3.1.1)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from gateway_service.console.pages import HTML, Page
from service_kit.languages.text import ENGLISH, LANGUAGES, Text
from service_kit.problems import PROBLEMS, Problem, phrase_of

_TEMPLATE: Final = Template(
    files(__package__).joinpath("problem.html").read_text("utf-8")
)

LABELS: Final = {
    "skip": "Skip to the content",
    "pages": "Pages",
    "console": "Console",
    "reference": "API reference",
    "problems": "Problems",
}
"""The placeholders of the template, in addition to title and content."""

HEADINGS: Final = (
    *("Code", "Status", "Message"),
    *("What happened", "Why", "What to do"),
)

_Translate = Callable[[str | Text], str]
"""Returns a text in one language, as HTML."""


def _in(language: str) -> _Translate:
    def translate(text: str | Text) -> str:
        translatable = text if isinstance(text, Text) else Text(text)
        return escape(translatable.in_language(language))

    return translate


def _page(language: str, title: str, content: str) -> Page:
    translate = _in(language)
    labels = {name: translate(text) for name, text in LABELS.items()}
    title = translate(title)
    body = _TEMPLATE.substitute(labels, title=title, content=content, language=language)
    return Page.of(body.encode(), HTML, language=language)


def _of_problem(problem: Problem, language: str) -> Page:
    translate = _in(language)
    status = f"{problem.status.value} {phrase_of(problem.status)}"
    sections: dict[str, str | Text] = {
        "What happened": problem.text,
        "Why": problem.why,
        "What to do": problem.advice,
    }
    return _page(
        language,
        problem.title,
        f"<p class='lead'>{translate('Code')} <code>{problem.code}</code>,"
        f" {translate('Status')} <span lang='en'>{status}</span></p>\n"
        + "\n".join(
            f"<h2>{translate(heading)}</h2>\n<p>{translate(text)}</p>"
            for heading, text in sections.items()
        ),
    )


def _index(language: str) -> Page:
    translate = _in(language)
    names = [translate(each) for each in ("Code", "Status", "Message")]
    columns = "".join(f"<th scope='col'>{name}</th>" for name in names)
    rows = "\n".join(
        f"<tr><th scope='row'><a href='/problems/{each.code}'><code>{each.code}</code>"
        f"</a></th><td data-name='{names[1]}'>{each.status.value}</td>"
        f"<td data-name='{names[2]}'>{translate(each.text)}</td></tr>"
        for each in PROBLEMS
    )
    return _page(
        language,
        "Problems",
        "<table class='stacked'>\n"
        f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>",
    )


def _translated(make: Callable[[str], Page]) -> Page:
    """Return a page with its translations."""
    return replace(
        make(ENGLISH),
        translations={each: make(each) for each in LANGUAGES if each != ENGLISH},
    )


def _pages() -> Iterator[tuple[str, Page]]:
    index = _translated(_index)
    yield from (("/problems", index), ("/problems/", index))
    for each in PROBLEMS:
        yield f"/problems/{each.code}", _translated(partial(_of_problem, each))


PROBLEM_PAGES: Final[Mapping[str, Page]] = dict(_pages())
"""By path."""
