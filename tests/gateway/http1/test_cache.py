from gateway_service.http1.parsing.cache import store


def test_a_flood_of_findings_costs_no_memory() -> None:
    cache: dict[bytes, int] = {}
    for number in range(10_000):
        assert store(cache, b"%d" % number, number) == number
        assert len(cache) <= 1_024
    assert cache[b"9999"] == 9_999
