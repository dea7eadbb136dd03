import pytest

from identity_service.usecases.limits.request_ages import RequestAges

SECOND = 1.0


class Gateway:
    """A gateway whose clock is wrong by so much, and a replica that is told by it."""

    def __init__(self, wrong_by: float) -> None:
        self.wrong_by = wrong_by
        self.now = 1000.0
        self.ages = RequestAges(lambda: self.now)

    def age_after(self, seconds: float, *, name: str = "192.0.2.1") -> float:
        """Return how old a request seems that was on its way for so long."""
        began_at = self.now + self.wrong_by
        self.now += seconds
        return self.ages.age(name, began_at).total_seconds()


@pytest.fixture(params=[0.0, 300.0, -300.0])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    return Gateway(request.param)


def test_request_is_as_old_as_it_was_later_than_the_fastest(
    gateway: Gateway,
) -> None:
    assert gateway.age_after(0.01) == 0
    assert gateway.age_after(10) == pytest.approx(9.99)
    assert gateway.age_after(0.02) == pytest.approx(0.01)


def test_request_after_a_long_freeze_is_old(gateway: Gateway) -> None:
    gateway.age_after(0)
    assert gateway.age_after(600) == pytest.approx(600)
    assert gateway.age_after(29) == pytest.approx(29)


def test_gateway_whose_clock_is_set_back_is_soon_believed_again(
    gateway: Gateway,
) -> None:
    gateway.age_after(0)
    gateway.wrong_by -= 300
    seconds = 0
    while gateway.age_after(1) > 15:
        seconds += 1
        assert seconds <= 10


def test_requests_that_are_late_by_different_times_stay_late(gateway: Gateway) -> None:
    gateway.age_after(0)
    for seconds in (5, 9, 7, 12, 5, 9):
        assert gateway.age_after(seconds) == pytest.approx(seconds)


def test_gateway_whose_clock_is_set_forward_is_believed_at_once(
    gateway: Gateway,
) -> None:
    gateway.age_after(0)
    gateway.wrong_by += 300
    assert gateway.age_after(0) == 0
    assert gateway.age_after(10) == pytest.approx(10)


def test_gateways_are_distinguished(gateway: Gateway) -> None:
    gateway.age_after(0)
    gateway.wrong_by += 300
    assert gateway.age_after(0, name="192.0.2.2") == 0
    gateway.wrong_by -= 300
    assert gateway.age_after(10) == pytest.approx(10)
