"""Lines reach a file or a pipe, and whoever writes them never waits."""

import fcntl
import os
import resource
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service_kit.observability.line_writer import LineWriter

LINE = b"x" * 99 + b"\n"


def opener(path: Path) -> Callable[[], int]:
    return lambda: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return both ends of a pipe that takes 4 KiB."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def read_all(descriptor: int, seconds: float = 0.3) -> bytes:
    """Return what comes until nothing has come for so long."""
    data = b""
    while select.select([descriptor], [], [], seconds)[0]:
        piece = os.read(descriptor, 65_536)
        if not piece:
            break
        data += piece
    return data


def test_lines_are_written_in_order(tmp_path: Path) -> None:
    writer = LineWriter(opener(tmp_path / "log"))
    for number in range(1000):
        writer.write(b"%d\n" % number)
    writer.close(5)
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines == [b"%d" % number for number in range(1000)]


def test_no_line_is_lost_or_goes_astray_while_the_file_is_opened_again(
    tmp_path: Path,
) -> None:
    """The closed descriptor's number is taken by others at once, as `accept` does."""
    writer = LineWriter(opener(tmp_path / "log"))
    strays = []
    for number in range(300):
        if (tmp_path / "log").exists():
            (tmp_path / "log").rename(tmp_path / f"log.{number}")
        writer.write(LINE * 50)
        writer.reopen()
        writer.write(LINE * 50)
        strays.append(os.memfd_create("stray"))
        if number % 10 == 0:
            writer.flush(5)
    writer.close(5)
    sizes = [os.fstat(stray).st_size for stray in strays]
    for stray in strays:
        os.close(stray)
    assert set(sizes) == {0}
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert written == LINE * 100 * 300


def test_what_is_open_stays_where_the_file_cannot_be_opened_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    errors: list[str] = []
    writer = LineWriter(
        opener(folder / "log"), on_error=lambda e: errors.append(e.strerror or "")
    )
    folder.rename(tmp_path / "moved")
    writer.reopen()
    writer.write(LINE)
    writer.close(5)
    assert (tmp_path / "moved" / "log").read_bytes() == LINE
    assert errors == ["No such file or directory"]


@pytest.mark.quiet
def test_a_stalled_reader_costs_lines_and_no_time(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    flowing: list[int] = []
    told = threading.Event()

    def on_flowing(count: int) -> None:
        flowing.append(count)
        told.set()

    writer = LineWriter(lambda: os.dup(writing), on_flowing=on_flowing, limit=50_000)
    started_at = time.monotonic()
    for _ in range(2000):
        writer.write(LINE)
    assert time.monotonic() - started_at < 1
    assert writer.dropped > 1000
    started_at = time.monotonic()
    writer.flush(0.2)
    assert time.monotonic() - started_at < 1
    written = read_all(reading)
    assert told.wait(5)
    writer.close(5)
    assert sum(flowing) == writer.dropped
    assert written == LINE * (2000 - writer.dropped)


def test_a_pipe_gets_whole_lines_from_several_writers(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writers = [LineWriter(lambda: os.dup(writing)) for _ in range(3)]
    for number, writer in enumerate(writers):
        writer.write((b"%d" % number * 150 + b"\n") * 400)
    lines = read_all(reading).splitlines()
    for writer in writers:
        writer.close(5)
    assert len(lines) == 1200
    assert all(len(line) == 150 and len(set(line)) == 1 for line in lines)


def test_an_end_without_a_reader_leaves_no_half_line(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LineWriter(lambda: os.dup(writing))
    writer.write(LINE * 500)
    writer.close(0.2)
    available = os.read(reading, 4096)
    assert available == LINE * (len(available) // len(LINE))


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = LineWriter(lambda: os.dup(writing))
    writer.write(LINE * 500)
    assert read_all(reading) == LINE * 500
    writer.close(5)
    assert writer.dropped == 0


def test_a_reader_that_is_gone_is_said_once_and_its_lines_are_counted(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, reading)  # nobody else gets its number, which the fixture closes
    os.close(null)
    errors: list[OSError] = []
    writer = LineWriter(lambda: os.dup(writing), on_error=errors.append)
    for _ in range(3):
        writer.write(LINE * 2)
        writer.flush(5)
    writer.close(5)
    assert writer.dropped == 6
    assert [type(error) for error in errors] == [BrokenPipeError]


def test_a_line_that_a_full_disk_tears_spoils_no_other(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    writer = LineWriter(opener(tmp_path / "log"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))  # stands for the disk
    try:
        writer.write(LINE)
        writer.write(LINE)
        writer.write(LINE)
        writer.flush(5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    writer.write(LINE)
    writer.write(LINE)
    writer.close(5)
    written = (tmp_path / "log").read_bytes()
    assert written == LINE + LINE[:50] + b"\n" + LINE + LINE
    assert writer.dropped == 2
