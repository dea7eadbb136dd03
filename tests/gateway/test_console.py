"""The gateway's own pages: found by their whole path, guarded, revalidated."""

import json
import re
import tracemalloc
from typing import Final

import pytest
from tests.support.gateway import RunningGateway
from tests.support.raw_client import Received, ask

from gateway_service.console.pages import FILES
from gateway_service.console.problems import PROBLEM_PAGES
from gateway_service.console.reference import REFERENCE

PATHS: Final = [
    "/",
    *sorted({**FILES, **REFERENCE}),
    "/problems/",
    "/problems/not_found",
]


async def get(
    gateway: RunningGateway, path: str, *fields: str, method: str = "GET"
) -> Received:
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *fields, "", ""])
    return await ask(gateway.port, head.encode(), method)


@pytest.mark.parametrize("path", PATHS)
async def test_c9_every_page_is_guarded(gateway: RunningGateway, path: str) -> None:
    page = await get(gateway, path)

    assert page.status == 200
    assert page.value("X-Content-Type-Options") == "nosniff"
    assert page.value("Referrer-Policy") == "no-referrer"
    assert page.value("Cross-Origin-Resource-Policy") == "same-origin"
    assert page.value("Cross-Origin-Opener-Policy") == "same-origin"
    policy = page.value("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_that_the_client_has_is_not_sent_again(
    gateway: RunningGateway, path: str
) -> None:
    page = await get(gateway, path)
    etag = page.value("ETag")
    assert etag

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await get(gateway, path, f"If-None-Match: {known}")
        assert (again.status, again.body) == (304, b"")
        assert again.value("ETag") == etag
    assert (await get(gateway, path, 'If-None-Match: "other"')).status == 200

    head = await get(gateway, path, method="HEAD")
    assert head.value("Content-Length") == str(len(page.body))
    assert head.body == b""


async def test_head_of_a_large_page_does_not_copy_it(gateway: RunningGateway) -> None:
    path = "/docs/swagger-ui-bundle.js"
    await get(gateway, path, method="HEAD")
    tracemalloc.start()
    try:
        await get(gateway, path, method="HEAD")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(REFERENCE[path].body) / 2


def test_the_document_says_that_pages_may_be_unmodified() -> None:
    described = json.loads(bytes(FILES["/openapi.json"].body))["paths"]
    for path in (*PATHS, "/problems", "/problems/{code}"):
        if path in described:
            assert "304" in described[path]["get"]["responses"], path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_a_page_is_only_read(gateway: RunningGateway, method: str) -> None:
    refused = await get(gateway, "/", method=method)

    assert refused.status == 405
    assert refused.value("Allow") == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "/console/../pages.py",
        "/console/%2e%2e/pages.py",
        "/console/..%2fpages.py",
        "/console//style.css",
        "/console/style.css/",
        "/console/STYLE.CSS",
        "/pages.py",
        "/front.html",
        "/files/console/style.css",
        "/console/nothing.js",
    ],
)
async def test_nothing_but_a_pages_own_path_leads_to_it(
    gateway: RunningGateway, path: str
) -> None:
    assert (await get(gateway, path)).status == 404


async def test_the_types_of_files_are_named(gateway: RunningGateway) -> None:
    for path, media_type in {
        "/": "text/html; charset=utf-8",
        "/console/style.css": "text/css; charset=utf-8",
        "/console/front.js": "text/javascript; charset=utf-8",
        "/console/icon.svg": "image/svg+xml",
    }.items():
        assert (await get(gateway, path)).value("Content-Type") == media_type


IN_GERMAN: Final = {
    "/problems": "<h1>Probleme</h1>",
    "/problems/not_found": "<p>Den Pfad prüfen, und die Routen des Gateways.</p>",
}


@pytest.mark.parametrize("path", IN_GERMAN)
@pytest.mark.parametrize(
    ("accepted", "language"),
    [("de-AT, en;q=0.5", "de"), ("en, de;q=0.5", "en"), ("fr", "en"), ("", "en")],
)
async def test_problems_are_explained_in_the_readers_language(
    gateway: RunningGateway, path: str, accepted: str, language: str
) -> None:
    page = await get(gateway, path, f"Accept-Language: {accepted}")

    assert page.value("Content-Language") == language
    assert "Accept-Language" in page.values("Vary")
    assert f'<html lang="{language}">' in page.body.decode()
    assert (IN_GERMAN[path] in page.body.decode()) == (language == "de")


async def test_each_language_of_a_page_has_an_etag_of_its_own(
    gateway: RunningGateway,
) -> None:
    path, german = "/problems/not_found", "Accept-Language: de"
    etags = [
        (await get(gateway, path, *fields)).value("ETag") for fields in ([], [german])
    ]

    assert etags[0] != etags[1]
    known = [f"If-None-Match: {etag}" for etag in etags]
    assert (await get(gateway, path, known[0], german)).status == 200
    assert (await get(gateway, path, known[1], german)).status == 304


def test_no_english_is_left_on_a_german_page() -> None:
    for path, page in PROBLEM_PAGES.items():
        german = page.translations["de"].body[:].decode()
        for english in re.findall(r"<(?:h1|h2|p)>([^<]{9,})<", page.body[:].decode()):
            assert f">{english}<" not in german, path


async def test_a_query_string_changes_no_page(gateway: RunningGateway) -> None:
    for path in PATHS:
        page = await get(gateway, f"{path}?utm_source=mail&code=%3Cscript%3E")
        assert (page.status, page.body) == (200, (await get(gateway, path)).body), path


async def test_the_front_page_says_what_runs_here(gateway: RunningGateway) -> None:
    page = (await get(gateway, "/")).body.decode()

    assert re.search(r"Version \d+\.\d+\.\d+", page)
    assert "<code>/api</code></th><td data-name='Service'>content</td>" in page
    assert page.count('<li class="card">') == 3


def test_pages_load_nothing_from_elsewhere_and_hold_nothing_inline() -> None:
    for path, page in FILES.items():
        if not path.endswith((".html", ".js", ".css")):
            continue
        text = page.body[:].decode()
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text), path
        assert not re.search(r"@import|url\(", text), path
        assert not re.search(r"""\son\w+=["']|\sstyle=["']|<style|<script>""", text), (
            path
        )
        assert "innerHTML" not in text, path
