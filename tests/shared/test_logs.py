import contextvars
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from service_kit.logs import configure_logging, flush_logs
from service_kit.request_id import name_request, request_id


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
    token = request_id.set("request-7")
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
        "request_id": "request-7",
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
