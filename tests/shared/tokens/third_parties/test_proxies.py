"""Proxies that check tokens, set up as docs/verifying-tokens.md says, really run."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientError, ClientSession
from tests.support.content import Content, content
from tests.support.documented import documented
from tests.support.issuer import Issuer
from tests.support.missing import skip_missing
from tests.support.ports import free_ports
from tests.support.tokens import ISSUER


class Proxy:
    """A client of the proxy under test."""

    def __init__(self, http: ClientSession, port: int) -> None:
        self._http = http
        self._url = f"http://127.0.0.1:{port}/api/test/user"

    async def get(self, token: str = "", **headers: str) -> tuple[int, str, str]:
        """Return the status, the challenge and the body of an answer."""
        sent = {"x-access-token": token, **headers} if token else headers
        async with self._http.get(self._url, headers=sent) as answer:
            challenge = answer.headers.get("WWW-Authenticate", "")
            return answer.status, challenge, await answer.text()

    async def until(self, token: str, status: int) -> None:
        """Wait until a token is judged so."""
        async with asyncio.timeout(10):
            while (await self.get(token))[0] != status:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)


def installed(program: str) -> str:
    """Return the program's path; skip where it is not installed."""
    path = shutil.which(os.environ.get(program.upper(), program))
    if path is None:
        skip_missing(f"{program} is not installed")
    return path


@asynccontextmanager
async def running(command: Sequence[str], port: int) -> AsyncIterator[Proxy]:
    """Run a proxy until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with ClientSession() as http:
            proxy = Proxy(http, port)
            async with asyncio.timeout(20):
                while not await answers(proxy):
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
            yield proxy
    finally:
        process.terminate()
        await process.wait()


async def answers(proxy: Proxy) -> bool:
    try:
        await proxy.get()
    except ClientError:
        return False
    return True


@pytest.fixture
async def service(issuer: Issuer) -> AsyncIterator[Content]:
    async with content(issuer) as service:
        yield service


def cluster(name: str, port: int) -> dict[str, Any]:
    """Return an upstream of Envoy."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def envoy_config(port: int, issuer: Issuer, service: Content) -> dict[str, Any]:
    """Return a configuration around the documented filter."""
    extensions = "type.googleapis.com/envoy.extensions.filters"
    filters = yaml.safe_load(documented("Envoy: jwt_authn", "yaml"))
    provider = filters[0]["typed_config"]["providers"]["gatehouse"]
    assert provider["issuer"] == ISSUER
    provider["remote_jwks"]["cache_duration"] = "1s"  # so that the test is short
    filters.append(
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": f"{extensions}.http.router.v3.Router"},
        }
    )
    manager = {
        "@type": f"{extensions}.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "test",
        "http_filters": filters,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}],
                }
            ]
        },
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
    clusters = [cluster("identity", issuer.port), cluster("app", service.port)]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


async def test_envoy_follows_a_rotation_and_leaves_revocation_to_the_service(
    issuer: Issuer, service: Content, tmp_path: Path
) -> None:
    envoy = installed("envoy")
    (port,) = free_ports(1)
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps(envoy_config(port, issuer, service)))
    command = [envoy, "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
    async with running(command, port) as proxy:
        token = issuer.mint(5)
        await proxy.until(token, 200)
        assert (await proxy.get(Authorization=f"Bearer {token}"))[0] == 200
        refused = {
            "": 401,
            token[:-8]: 401,
            issuer.mint(key="evil"): 401,
            issuer.mint(iss=f"{ISSUER}/"): 401,
            issuer.mint(exp=1): 401,
            issuer.mint(aud="billing"): 403,
        }
        for bad, expected in refused.items():
            status, _, body = await proxy.get(bad)
            assert (status, "Jwt" in body) == (expected, True), "Envoy itself refuses"

        issuer.keys = ["second", "first"]
        await proxy.until(issuer.mint(key="second"), 200)
        assert (await proxy.get(token))[0] == 200

        issuer.revoke(5)
        await proxy.until(token, 401)
        assert "invalid_token" in (await proxy.get(token))[1], "the service refuses"


async def test_nginx_asks_a_service_that_verifies(
    issuer: Issuer, service: Content, tmp_path: Path
) -> None:
    nginx = installed("nginx")
    (port,) = free_ports(1)
    locations = documented("nginx", "nginx").replace("content:8002", "content")
    (tmp_path / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; pid nginx.pid; error_log stderr;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
            uwsgi_temp_path u; scgi_temp_path s;
            upstream app {{ server 127.0.0.1:{service.port}; }}
            upstream content {{ server 127.0.0.1:{service.port}; }}
            server {{ listen 127.0.0.1:{port}; {locations} }}
        }}
        """
    )
    command = [nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    async with running(command, port) as proxy:
        token = issuer.mint(5)
        assert (await proxy.get(token))[0] == 200
        assert (await proxy.get(Authorization=f"Bearer {token}"))[0] == 200
        assert (await proxy.get())[:2] == (401, "Bearer")
        status, challenge, _ = await proxy.get(issuer.mint(key="evil"))
        assert (status, challenge) == (401, 'Bearer error="invalid_token"')
        two = {"x-access-token": token, "Authorization": f"Bearer {issuer.mint(6)}"}
        assert (await proxy.get(**two))[0] == 401

        issuer.keys = ["second", "first"]
        await proxy.until(issuer.mint(key="second"), 200)
        issuer.revoke(5)
        await proxy.until(token, 401)
