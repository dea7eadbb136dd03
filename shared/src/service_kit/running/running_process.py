"""Ask a running process for its status, on its internal port."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from service_kit.running.doctor import Finding, fault, note
from service_kit.running.sockets import host_port

_SECONDS: Final = 5.0
"""Longer than its readiness checks take, which it does to respond."""

_EVERYWHERE: Final = {"0.0.0.0", "::"}  # noqa: S104 - replaced
"""Hosts of a process that listens on every address, the IPv4 ones among them."""

_ANOTHER: Final = "end what has the port, or change the setting of the internal port"


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What was found of a process."""

    status: Mapping[str, Any] | None
    """Its `/status`, None if no process of the service is there."""
    findings: list[Finding]


async def ask_process(service: str, host: str, port: int) -> ProcessReport:
    """Return the state of a service's process on this internal port.

    If nothing listens, that is a note, because the doctor may run before the service
    starts. If another program listens, that is a fault.
    """
    place = f"process on internal port {port}"
    try:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{local_authority(host, port)}/status") as response,
        ):
            is_ok = response.status == HTTPStatus.OK
            status = await response.json() if is_ok else None
    except aiohttp.ClientConnectorError:
        return ProcessReport(None, [note(place, f"no {service} runs here")])
    except (aiohttp.ClientError, ValueError, TimeoutError) as error:
        found = f"no response that is {service}'s: {type(error).__name__}"
        return ProcessReport(None, [fault(place, found, _ANOTHER)])
    if not isinstance(status, dict) or status.get("service") != service:
        return ProcessReport(None, [fault(place, f"is not {service}'s", _ANOTHER)])
    return ProcessReport(status, _findings(place, service, status))


def local_authority(host: str, port: int | str) -> str:
    """Return where a process of this machine that listens on ``host`` is asked."""
    return host_port(("127.0.0.1" if host in _EVERYWHERE else host, port))


def _findings(place: str, service: str, status: Mapping[str, Any]) -> list[Finding]:
    version, pid = status.get("version"), status.get("pid")
    uptime = status.get("uptime_seconds", 0)
    faults = _reasons(status, "faults")
    beside = "beside that" if faults else "ready, but"
    return [
        Finding(place, f"{service} {version}, pid {pid}, up {uptime:.0f} s"),
        *(fault(f"not ready: {name}", str(text)) for name, text in faults),
        *(note(f"{beside} {k}", str(v)) for k, v in _reasons(status, "warnings")),
    ]


def _reasons(status: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    """Return what a process says is amiss; one of another version may say less."""
    reasons = status.get(kind)
    return [*reasons.items()] if isinstance(reasons, dict) else []
