"""A small issuer, and a content service that trusts it."""

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from tests.support.content import Content, content, content_settings
from tests.support.issuer import Issuer
from tests.support.loops import pytest_asyncio_loop_factories

from content_service.app import create_app
from service_kit.health import Readiness

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        yield running


@pytest.fixture
async def service(issuer: Issuer) -> AsyncIterator[Content]:
    async with content(issuer) as running:
        yield running


@pytest.fixture
def content_app(issuer: Issuer) -> web.Application:
    """The application, for pytest-aiohttp's client."""
    return create_app(content_settings(issuer), Readiness(), CollectorRegistry())


@pytest.fixture
def bearer(issuer: Issuer) -> Callable[..., dict[str, str]]:
    """Returns the header with an access token of a user and of roles."""

    def header(subject: str, *roles: str) -> dict[str, str]:
        token = issuer.mint(sub=subject, roles=list(roles))
        return {"Authorization": f"Bearer {token}"}

    return header
