"""Measure everything beside its peers, one thing after the other: ``make bench``."""

from tests.bench import (
    content_bench,
    curves,
    gateway_bench,
    identity_bench,
    identity_curves,
    stack_bench,
)


def main() -> None:
    """Run every bench with its defaults."""
    gateway_bench.main([])
    curves.main([])
    content_bench.main([])
    stack_bench.main()
    identity_bench.main()
    identity_curves.main()


if __name__ == "__main__":
    main()
