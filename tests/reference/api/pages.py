"""What the gateway serves by itself, declared for the document alone."""

from http import HTTPStatus
from typing import Final, NoReturn

from aiohttp import hdrs, web

from service_kit.operations import ANYBODY, Operation, PathParameter, Reply, Tag
from service_kit.problems import common
from service_kit.requests.bodies import JSON

_HTML: Final = "text/html; charset=utf-8"
_HEADERS: Final = (hdrs.ETAG, hdrs.CACHE_CONTROL)

_ANY_QUERY: Final = (
    "A query string is ignored: mail programs and sites add parameters to links."
)


async def _never(_: web.Request) -> NoReturn:
    raise AssertionError("the gateway serves its pages without aiohttp")


def _page(name: str, path: str, summary: str, media_type: str = _HTML) -> Operation:
    return Operation(
        name=name,
        method=hdrs.METH_GET,
        path=path,
        handler=_never,
        summary=summary,
        description=_ANY_QUERY,
        tag=Tag.PAGES,
        access=ANYBODY,
        ignores_unknown_parameters=True,
        path_parameters={"code": PathParameter("The code.", "invalid_fields")},
        replies=(
            Reply(media_type=media_type, headers=_HEADERS),
            Reply(status=HTTPStatus.NOT_MODIFIED, media_type=None, headers=_HEADERS),
        ),
        problems=(common.NOT_FOUND,) if "{" in path else (),
    )


PAGES: Final = (
    _page("show_front_page", "/", "Show what runs here, and what to try first"),
    _page("show_console", "/console", "Show the console"),
    _page("show_api_reference", "/docs", "Show this document, to read and to try"),
    _page("show_api_document", "/openapi.json", "Show this document", JSON),
    _page("list_problems", "/problems", "List all problems"),
    _page("show_problem", "/problems/{code}", "Explain problems of one kind"),
)
