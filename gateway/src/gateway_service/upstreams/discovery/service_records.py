"""Look up the targets of a service (RFC 2782)."""

from dns.asyncresolver import Resolver
from dns.exception import DNSException

from gateway_service.upstreams.discovery.names import HostPort, ResolutionError


async def targets_of_service(
    name: str, _: int, resolver: Resolver | None = None
) -> list[HostPort]:
    """Return the names and ports of the targets with the best priority.

    Their weights are not used: in-flight counts say more about who can take a request.

    Raises `ResolutionError`: there is no such record, or no response.
    """
    try:
        records = list(await (resolver or Resolver()).resolve(name, "SRV"))
    except DNSException as error:
        raise ResolutionError(type(error).__name__) from error
    best = min((record.priority for record in records), default=0)
    return [
        (record.target.to_text(omit_final_dot=True), record.port)
        for record in records
        if record.priority == best
    ]
