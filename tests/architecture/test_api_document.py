"""The API's document says what runs, and nothing else."""

import json
import re
from collections import Counter
from typing import Final

import pytest
from aiohttp import web
from openapi_pydantic import Response
from prometheus_client import CollectorRegistry
from tests.reference.api import document
from tests.reference.api.components import Shared
from tests.reference.api.pages import PAGES
from tests.support.identity import identity_settings

from content_service.app import create_app as create_content
from content_service.handlers.resources import OPERATIONS as CONTENT
from content_service.settings import Settings as ContentSettings
from gateway_service.console.pages import FILES
from gateway_service.console.problems import PROBLEM_PAGES
from gateway_service.console.reference import REFERENCE
from identity_service.app import create_app as create_identity
from identity_service.routes import OPERATIONS as IDENTITY
from service_kit.health import Readiness
from service_kit.problems import PROBLEMS

TEXT: Final = document.FILE.read_text("utf-8")
DOCUMENT: Final = json.loads(TEXT)
DESCRIBED: Final = {
    (method.upper(), path)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
}


def running(app: web.Application) -> set[tuple[str, str]]:
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def test_the_document_is_what_make_docs_writes() -> None:
    assert document.text() == TEXT, "run `make docs`"


def test_every_route_that_runs_is_described_and_the_other_way_round() -> None:
    identity = create_identity(
        identity_settings(
            "sqlite+aiosqlite:///none.db",
            IDENTITY_ISSUER="http://localhost:8080",
            IDENTITY_MAIL_URL="file:///mail",
            IDENTITY_MAILBOX="on",  # what developers alone have is described, too
        )
    )
    settings = ContentSettings(
        issuer="http://a.test", jwks_url="http://a.test/keys", require_status=False
    )
    content = create_content(settings, Readiness(), CollectorRegistry())
    pages = {("GET", each.path) for each in PAGES}

    assert running(identity) | running(content) | pages == DESCRIBED


def test_every_page_that_the_gateway_serves_is_described() -> None:
    served = {**FILES, **REFERENCE, **PROBLEM_PAGES}
    pages = {
        "/problems/{code}" if path in PROBLEM_PAGES and path != "/problems" else path
        for path, page in served.items()
        if not path.endswith("/")
        and (b"text/html" in page.lines or b"application/json" in page.lines)
        and not path.endswith("index.html")
    }
    assert pages | {"/"} == {each.path for each in PAGES}


def test_operations_have_names_of_their_own() -> None:
    names = Counter(each.name for each in (*IDENTITY, *CONTENT, *PAGES))
    assert [name for name, number in names.items() if number > 1] == []


def test_every_problem_that_a_client_can_meet_is_described() -> None:
    elsewhere = {
        "not_ready",  # on the internal port
        "method_not_allowed",  # of no operation
        "insufficient_user_authentication",  # of services that ask for a fresh sign-in
    }
    known = {each.code for each in PROBLEMS}
    assert known - elsewhere == set(DOCUMENT["components"]["examples"])


def test_every_parameter_is_described() -> None:
    parameters = DOCUMENT["components"]["parameters"].items()
    assert [name for name, each in parameters if "description" not in each] == []


def test_components_are_all_referred_to_and_references_all_have_one() -> None:
    referred = set(re.findall(r'"\$ref": "#/components/([^"]+)"', TEXT))
    components = {
        f"{kind}/{name}"
        for kind, members in DOCUMENT["components"].items()
        for name in members
        if kind != "securitySchemes"
    }
    assert referred == components


def test_what_operations_share_stands_once() -> None:
    parts = Counter(
        json.dumps(part)
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for part in (
            *operation["responses"].values(),
            *operation.get("parameters", ()),
            operation.get("requestBody", {}),
        )
        if part and "$ref" not in part
    )
    assert [part for part, number in parts.items() if number > 1] == []


def test_different_components_have_different_names() -> None:
    shared = Shared[Response]("responses")
    shared.refer("OK", Response(description="OK."))
    shared.refer("OK", Response(description="OK."))

    with pytest.raises(ValueError, match="two different responses are called OK"):
        shared.refer("OK", Response(description="Fine."))


def test_integers_are_written_as_integers() -> None:
    written: list[str] = []
    json.loads(TEXT, parse_float=written.append)
    assert [number for number in written if number.endswith(".0")] == []
