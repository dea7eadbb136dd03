from gateway_service.config.model import RetryConfig
from gateway_service.upstreams.retry_budget import RetryBudget


def spend_all(budget: RetryBudget) -> int:
    spent = 0
    while budget.withdraw():
        spent += 1
    return spent


def test_reserve_is_bounded() -> None:
    budget = RetryBudget(RetryConfig(share=0.2, per_second=10))
    for _ in range(10_000):
        budget.deposit()
    assert spend_all(budget) in {200, 201}

    budget.refill(3600)
    assert spend_all(budget) == 200


def test_requests_earn_their_share_of_retries() -> None:
    budget = RetryBudget(RetryConfig(share=0.2, per_second=0))
    spend_all(budget)

    for _ in range(50):
        budget.deposit()

    assert spend_all(budget) in {9, 10}


def test_time_earns_the_least_number_of_retries() -> None:
    budget = RetryBudget(RetryConfig(share=0, per_second=10))
    spend_all(budget)

    budget.refill(0.5)

    assert spend_all(budget) == 5


def test_budget_of_nothing_allows_no_retry() -> None:
    budget = RetryBudget(RetryConfig(share=0, per_second=0))
    budget.deposit()
    budget.refill(60)

    assert not budget.withdraw()
