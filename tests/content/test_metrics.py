"""Each metric of verification moves when that happens which it is there to show."""

import json
from datetime import timedelta
from email.utils import format_datetime

from tests.support.content import Content, content
from tests.support.issuer import Issuer, text_answer
from tests.support.tokens import mint, public_half
from tests.support.waiting import until

from service_kit.clock import utc_now
from service_kit.tokens import RefusalReason, public_jwk


def refused(service: Content, reason: RefusalReason) -> float:
    labels = {"reason": reason.value}
    found = service.registry.get_sample_value("content_tokens_refused_total", labels)
    return found or 0.0


async def test_refused_tokens_are_counted_by_reason(
    issuer: Issuer, service: Content
) -> None:
    assert (await service.get(token=issuer.mint())).status == 200
    for claims in ({"aud": "billing"}, {"exp": 1}, {"exp": 2}):
        answer = await service.get(token=mint(claims=claims))
        assert answer.status == 401

    assert refused(service, RefusalReason.AUDIENCE) == 1
    assert refused(service, RefusalReason.EXPIRED) == 2
    assert refused(service, RefusalReason.SIGNATURE) == 0


async def test_ages_of_keys_and_lists_grow_while_the_issuer_is_away(
    issuer: Issuer, service: Content
) -> None:
    assert (await service.get(token=issuer.mint())).status == 200
    left = service.metric("status_list_expiry_seconds")
    await issuer.stop()
    await until(lambda: service.metric("status_list_failures_total"), seconds=30)

    assert service.metric("status_list_age_seconds") > 0
    assert service.metric("verification_keys_age_seconds") > 0
    assert 0 < service.metric("status_list_expiry_seconds") < left


async def test_how_far_the_clock_is_from_the_issuers_is_told(issuer: Issuer) -> None:
    async with content(issuer) as service:
        assert abs(service.metric("clock_ahead_seconds")) < 5

    an_hour_ago = format_datetime(utc_now() - timedelta(hours=1), usegmt=True)
    keys = json.dumps({"keys": [public_jwk(public_half("first"))]})
    for headers, seconds in (
        ({"Date": an_hour_ago}, 3600),
        ({"Date": an_hour_ago, "Age": "3600"}, 0),  # of a cache
        ({"Date": "yesterday"}, 0),
        ({"Date": "Fri, 31 Dec 9999 23:59:59 -0100"}, 0),  # year 10000 in UTC
        ({"Date": f"Mon, {10**20} Jan 2024 00:00:00 GMT"}, 0),
    ):
        issuer.answer_jwks = text_answer(keys, headers=headers)
        async with content(issuer) as service:
            found = service.metric("clock_ahead_seconds")
        assert seconds <= found < seconds + 5


async def test_fetches_of_keys_and_their_failures_are_counted(
    issuer: Issuer, service: Content
) -> None:
    fetches = service.metric("jwks_fetches_total")
    assert service.metric("jwks_failures_total") == 0
    await issuer.stop()
    answer = await service.get(token=mint(key="second"))
    assert answer.status in {401, 503}
    await until(lambda: service.metric("jwks_failures_total"))
    assert service.metric("jwks_fetches_total") > fetches >= 1


async def test_tokens_that_were_verified_are_in_memory(
    issuer: Issuer, service: Content
) -> None:
    assert service.metric("verified_tokens") == 0
    for _ in range(2):
        assert (await service.get(token=issuer.mint())).status == 200
    assert (await service.get(token=mint(claims={"exp": 1}))).status == 401

    assert service.metric("verified_tokens") == 2


async def test_problems_are_counted_by_code(service: Content) -> None:
    await service.get()
    labels = {"route": "/api/test/user", "code": "missing_token"}

    assert service.registry.get_sample_value("content_problems_total", labels) == 1
