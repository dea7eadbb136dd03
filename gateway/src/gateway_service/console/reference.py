"""The API reference: Swagger UI out of its package, and two files of ours around it."""

import mmap
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from swagger_ui_bundle import swagger_ui_path

from gateway_service.console.pages import HTML, Page

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""Content-Security-Policy of the viewer, which draws its signs from `data:` URLs."""

_SCRIPT: Final = "text/javascript; charset=utf-8"
_OURS: Final = files(__package__).joinpath("docs")
_INDEX: Final = Page.of(_OURS.joinpath("index.html").read_bytes(), HTML, policy=POLICY)


def _viewer(name: str, media_type: str) -> Page:
    """Return a page that is mapped: of 1.7 MB nothing stays in memory unasked for."""
    with (swagger_ui_path / name).open("rb") as file:
        body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    page = Page.of(body, media_type)
    body.madvise(mmap.MADV_DONTNEED)  # it was read for its ETag
    return page


REFERENCE: Final[Mapping[str, Page]] = {
    "/docs": _INDEX,
    "/docs/": _INDEX,
    "/docs/start.js": Page.of(_OURS.joinpath("start.js").read_bytes(), _SCRIPT),
    "/docs/swagger-ui-bundle.js": _viewer("swagger-ui-bundle.js", _SCRIPT),
    "/docs/swagger-ui.css": _viewer("swagger-ui.css", "text/css; charset=utf-8"),
}
"""By path."""
