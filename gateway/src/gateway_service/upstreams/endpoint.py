"""The addresses of replicas."""

from typing import NamedTuple


class Endpoint(NamedTuple):
    """Where a replica listens, and where it is probed."""

    host: str
    port: int
    probe_port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
