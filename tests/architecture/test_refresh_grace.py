"""What the gateway and identity must agree on without speaking of it."""

from pathlib import Path
from typing import Final

from gateway_service.config.file import read_config
from identity_service.settings import Settings
from service_kit.settings import specs

GATEWAY: Final = Path(__file__).parents[2] / "deploy" / "gateway.toml"


def test_a_refresh_is_given_up_well_within_the_grace() -> None:
    """A replica may freeze after a refresh is committed, before its response is sent.

    The client, which gets 504 then, comes again with the spent token. After the grace
    that would be a reuse, and end the session.
    """
    routes = {route.prefix: route for route in read_config(GATEWAY, {}).routes}
    grace = next(s.default for s in specs(Settings) if s.name.endswith("REFRESH_GRACE"))
    longest = routes["/api/auth/refreshtoken"].timeouts.response_head
    assert longest <= float(grace or "") / 2
