import contextvars
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from service_kit.observability.log_format import LogFormat
from service_kit.observability.logs import configure_logging, flush_logs
from service_kit.observability.request_id import name_request, request_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def _own_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    root.handlers[:] = []
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_a_record_is_one_json_line_with_its_fields(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logging("example", "info")
    token = request_id.set(TRACE)
    logging.getLogger("a.b").info("session_ended", extra={"reason": "sign_out"})
    logging.getLogger("a.b").debug("not_shown")
    request_id.reset(token)

    flush_logs()
    (line,) = capfd.readouterr().err.splitlines()
    entry = json.loads(line)
    moment = datetime.fromisoformat(entry.pop("time"))
    assert entry == {
        "service": "example",
        "level": "INFO",
        "name": "a.b",
        "event": "session_ended",
        "request_id": TRACE,
        "trace_id": TRACE,
        "reason": "sign_out",
    }
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(seconds=5)


@pytest.mark.parametrize("from_gateway", [True, False])
def test_an_id_that_a_client_sends_is_logged_as_its_own(
    capfd: pytest.CaptureFixture[str], *, from_gateway: bool
) -> None:
    configure_logging("example", "info")

    def serve() -> str:
        name = name_request("somebody-elses", from_gateway=from_gateway)
        logging.getLogger("a").info("served")
        return name

    name = contextvars.copy_context().run(serve)
    flush_logs()
    entry = json.loads(capfd.readouterr().err)
    assert entry["request_id"] == name
    assert (name == "somebody-elses") is from_gateway
    own = None if from_gateway else "somebody-elses"
    assert entry.get("client_request_id") == own


@pytest.mark.parametrize("text", ["a\r\nb", "\x1b[2J", "a\u2028b", "\x00"])
def test_untrusted_text_cannot_forge_a_line(
    capfd: pytest.CaptureFixture[str], text: str
) -> None:
    configure_logging("example", "info")
    logging.getLogger("a").warning("refused", extra={"username": text})

    flush_logs()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["username"] == text


def test_text_is_one_aligned_line_of_what_people_want_to_know(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logging("example", "info", LogFormat.TEXT)
    token = request_id.set("request-7")
    logging.getLogger("a.b").info("session_ended", extra={"reason": "sign out"})
    request_id.reset(token)
    logging.getLogger("a.b").warning("draining")

    flush_logs()
    first, second = capfd.readouterr().err.splitlines()
    assert first[13:] == (
        "INFO    example  session_ended            request_id=request-7 "
        'reason="sign out"'
    )
    assert second[13:] == "WARNING example  draining"
    assert re.fullmatch(r"\d\d:\d\d:\d\d[.]\d{3} ", first[:13])


@pytest.mark.parametrize("text", ["a\r\nb", "\x1b[2J", "a\u2028b", "\x00", "\x7f", '"'])
def test_untrusted_text_cannot_forge_a_text_line(
    capfd: pytest.CaptureFixture[str], text: str
) -> None:
    configure_logging("example", "info", LogFormat.TEXT)
    logging.getLogger("a").warning("refused%s", text, extra={"username": text})

    flush_logs()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line.partition("username=")[2]) == text


def test_a_traceback_follows_its_text_line_and_escapes_what_it_quotes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logging("example", "info", LogFormat.TEXT)
    try:
        int("\x1b[2J")
    except ValueError:
        logging.getLogger("a").exception("failed")

    flush_logs()
    head, *trace = capfd.readouterr().err.splitlines()
    assert head.endswith("ERROR   example  failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert trace[-1].startswith("    ValueError: invalid literal")
    assert all(line.isprintable() for line in trace)


@pytest.mark.parametrize(
    ("environ", "is_text", "has_colours"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"X_LOG_FORMAT": "json"}, False, False),
    ],
    ids=["auto", "no colours", "json"],
)
def test_a_terminal_gets_text_and_colours_unless_it_wants_neither(
    environ: dict[str, str], *, is_text: bool, has_colours: bool
) -> None:
    ours, theirs = os.openpty()
    subprocess.run(
        [sys.executable, "-c", LOGGING], stderr=theirs, env=environ, check=True
    )
    os.close(theirs)
    printed = os.read(ours, 4096).decode()
    os.close(ours)
    assert printed.startswith("{") is not is_text
    assert ("\x1b[" in printed) is has_colours


@pytest.mark.parametrize(
    ("environ", "is_text", "has_colours"),
    [
        ({}, False, False),
        ({"X_LOG_FORMAT": "text"}, True, False),
        ({"X_LOG_FORMAT": "text", "FORCE_COLOR": "1"}, True, True),
    ],
    ids=["auto", "text", "text in colours"],
)
def test_a_pipe_gets_json_without_colours_unless_told_otherwise(
    environ: dict[str, str], *, is_text: bool, has_colours: bool
) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", LOGGING], env=environ, capture_output=True, check=True
    ).stderr.decode()
    assert printed.startswith("{") is not is_text
    assert ("\x1b[" in printed) is has_colours


LOGGING: Final = """
import logging, os
from service_kit.observability.log_format import LogFormat
from service_kit.observability.logs import configure_logging
log_format = LogFormat(os.environ.get("X_LOG_FORMAT", "auto"))
configure_logging("example", "info", log_format)
logging.getLogger("a").info("served")
"""
