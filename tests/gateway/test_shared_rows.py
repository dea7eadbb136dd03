"""Rows that several processes count in."""

import fcntl
import multiprocessing
import os
import time
from mmap import mmap

import pytest

from gateway_service.config.clients import RateLimit
from gateway_service.operations.workers.shared_memory import SharedMemory
from gateway_service.shared_rows import SharedRows

TEN_A_MINUTE = RateLimit(10, 60)
FORK = multiprocessing.get_context("fork")


def add(memory: SharedMemory, worker: int, times: int) -> None:
    counts = memory.client_counts(worker)
    for _ in range(times):
        counts.add("192.0.2.1")


def test_no_count_is_lost_between_processes() -> None:
    memory = SharedMemory.create(4)
    workers = [FORK.Process(target=add, args=(memory, n, 2_000)) for n in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert memory.client_counts(0).of("192.0.2.1") == 8_000


def test_what_a_worker_counted_ends_with_it() -> None:
    memory = SharedMemory.create(2)
    first, second = memory.client_counts(0), memory.client_counts(1)
    for counts in (first, first, second):
        counts.add("192.0.2.1")
    memory.forget(0)
    assert first.of("192.0.2.1") == second.of("192.0.2.1") == 1
    first.remove("192.0.2.1")  # of a connection that was forgotten
    assert second.of("192.0.2.1") == 1
    assert second.of("192.0.2.2") == 0


def test_a_worker_knows_its_own_part_of_a_clients_connections() -> None:
    memory = SharedMemory.create(2)
    first, second = memory.client_counts(0), memory.client_counts(1)
    for counts in (first, first, second):
        counts.add("192.0.2.1")
    assert (first.own("192.0.2.1"), second.own("192.0.2.1")) == (2, 1)
    assert first.own("192.0.2.2") == 0
    assert first.of("192.0.2.1") == second.of("192.0.2.1") == 3


def test_each_connection_of_a_client_has_a_number_of_its_own() -> None:
    memory = SharedMemory.create(2)
    first, second = memory.client_counts(0), memory.client_counts(1)

    numbers = [counts.add("192.0.2.1") for counts in (first, second, first)]

    assert numbers == [1, 2, 3]


async def test_a_limit_is_one_limit() -> None:
    memory = SharedMemory.create(2)
    first, second = memory.rate_counter(), memory.rate_counter()
    waits = []
    for _ in range(10):
        counted = [await each.count("a", TEN_A_MINUTE) for each in (first, second)]
        waits += [quota.wait for quota in counted]
    assert waits.count(0.0) == 10
    assert (await second.count("a", TEN_A_MINUTE)).requests == 0
    assert (await second.count("b", TEN_A_MINUTE)).wait == 0.0


def rows_of(memory: SharedMemory) -> SharedRows:
    return memory.rate_counter().rows


def test_where_rows_are_full_those_least_needed_make_room() -> None:
    memory = SharedMemory.create(1)
    rows = rows_of(memory)
    for number in range(300_000):
        rows.change(str(number), lambda _, free_at=float(number): (free_at + 1,))  # type: ignore[misc]
    kept = [number for number in range(300_000) if rows.read(str(number))[0]]
    assert 100_000 < len(kept) <= 131_072
    assert min(kept[-1_000:]) > 290_000
    assert all(rows.read(str(number))[0] == number + 1 for number in kept[-1_000:])


def test_a_count_that_is_not_known_makes_no_row_go() -> None:
    counts = SharedMemory.create(1).client_counts(0)
    clients = [str(number) for number in range(40_000)]
    for each in clients:
        counts.add(each)
    kept = sum(map(counts.of, clients))
    for number in range(40_000):
        counts.remove(f"another {number}")
    assert sum(map(counts.of, clients)) == kept


def test_a_lock_that_cannot_be_had_at_all_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    memory = mmap(-1, SharedRows.size_for(64, 1))
    rows = SharedRows(
        memory,
        reading,
        start=0,
        rows=64,
        columns=1,
        secret=b"s" * 32,
        need=lambda numbers: numbers[0],
    )
    os.close(reading)
    with pytest.raises(OSError, match="descriptor"):
        rows.change("a", lambda numbers: (numbers[0] + 1,))


@pytest.mark.quiet
def test_a_process_that_stops_with_a_lock_holds_nobody_up() -> None:
    memory = SharedMemory.create(1)
    rows = rows_of(memory)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        fcntl.lockf(memory.descriptor, fcntl.LOCK_EX)
        os.write(writing, b"!")
        time.sleep(60)
        os._exit(0)
    try:
        assert os.read(reading, 1) == b"!"
        started_at = time.monotonic()
        rows.change("a", lambda numbers: (numbers[0] + 1,))
        assert time.monotonic() - started_at < 0.5
        assert rows.read("a") == (1.0,)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
