"""One request on a connection of its own, and how long its answer took."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from tests.support.contract_walk import ORIGIN


@dataclass(frozen=True)
class TimedAnswer:
    status: int
    headers: Message
    body: bytes
    seconds: float

    def json(self) -> Any:  # noqa: ANN401 - whatever the server sent
        return json.loads(self.body)


def send(
    port: int,
    method: str,
    path: str,
    members: Mapping[str, object] | None = None,
    *,
    token: str = "",
    timeout: float = 15,
) -> TimedAnswer:
    """Send as a page of the front-ends does; OSError if there is no answer."""
    headers = {"Origin": ORIGIN}
    if token:
        headers["x-access-token"] = token
    if members is not None:
        headers["Content-Type"] = "application/json"
    body = None if members is None else json.dumps(members)
    began_at = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        received = answer.read()
    finally:
        connection.close()
    return TimedAnswer(
        answer.status, answer.headers, received, time.monotonic() - began_at
    )
