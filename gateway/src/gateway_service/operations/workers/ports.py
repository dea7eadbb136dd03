"""The sockets of each worker, taken once and for all by the process that starts."""

import socket
from dataclasses import dataclass

from gateway_service.settings import GatewaySettings
from service_kit.running.sockets import bind


@dataclass(frozen=True, slots=True)
class Ports:
    """The sockets of one worker, bound."""

    public: list[socket.socket]
    internal: list[socket.socket]

    @classmethod
    def bind(cls, settings: GatewaySettings) -> "list[Ports]":
        """Return the sockets of every worker: one public port, internal ones in a row.

        Raises `ListenError`: a port is taken.
        """
        public = bind(settings.host, settings.port, shared=settings.share_port)
        return [
            cls(public, bind(settings.internal_host, port))
            for port in settings.internal_ports
        ]

    @classmethod
    def inherit(cls, argument: str) -> "Ports":
        """Return the sockets that `argument` names in the parent."""
        public, internal = (
            [socket.socket(fileno=int(each)) for each in part.split(",")]
            for part in argument.split("/")
        )
        return cls(public, internal)

    @property
    def descriptors(self) -> list[int]:
        """All of them, for a child to inherit."""
        return [each.fileno() for each in (*self.public, *self.internal)]

    @property
    def argument(self) -> str:
        """The descriptors as text, for `inherit`."""
        return "/".join(
            ",".join(str(each.fileno()) for each in sockets)
            for sockets in (self.public, self.internal)
        )

    def close(self) -> None:
        """Close them; processes that have inherited them keep them."""
        for each in (*self.public, *self.internal):
            each.close()
