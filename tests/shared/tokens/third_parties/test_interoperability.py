"""Other people's libraries verify live tokens across a rotation of keys."""

import asyncio
import json
import os
import shutil
import subprocess
import urllib.request
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jwt as jwcrypto_jwt
from tests.support.documented import documented
from tests.support.issuer import Issuer
from tests.support.missing import skip_missing
from tests.support.node import installed
from tests.support.tokens import AUDIENCE, ISSUER, mint

HERE = Path(__file__).parent
GO_PATH = Path("/usr/share/gocode")
GO_OIDC = GO_PATH / "src" / "github.com" / "coreos" / "go-oidc"

Verify = Callable[[str], str]
"""Returns the subject; raises whatever the library raises."""


def fetch(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def with_pyjwt(url: str) -> Verify:
    client = jwt.PyJWKClient(url, cooldown_duration=0)

    def verify(token: str) -> str:
        claims = jwt.decode(
            token,
            client.get_signing_key_from_jwt(token),
            algorithms=["RS256"],
            issuer=ISSUER,
            audience=AUDIENCE,
        )
        return str(claims["sub"])

    return verify


def with_joserfc(url: str) -> Verify:
    checks = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    )

    def verify(token: str) -> str:
        keys = joserfc_jwk.KeySet.import_key_set(fetch(url))  # type: ignore[arg-type]
        decoded = joserfc_jwt.decode(token, keys, algorithms=["RS256"])
        checks.validate(decoded.claims)
        return str(decoded.claims["sub"])

    return verify


def with_authlib(url: str) -> Verify:
    with warnings.catch_warnings(record=True):
        from authlib.jose import JsonWebToken  # noqa: PLC0415 - it warns of its end

    checks = {"iss": {"value": ISSUER}, "aud": {"value": AUDIENCE}}
    rs256 = JsonWebToken(["RS256"])

    def verify(token: str) -> str:
        claims = rs256.decode(token, fetch(url), claims_options=checks)
        claims.validate()
        return str(claims["sub"])

    return verify


def with_jwcrypto(url: str) -> Verify:
    def verify(token: str) -> str:
        keys = jwcrypto_jwk.JWKSet.from_json(json.dumps(fetch(url)))
        decoded = jwcrypto_jwt.JWT(
            jwt=token,
            key=keys,
            algs=["RS256"],
            check_claims={"iss": ISSUER, "aud": AUDIENCE},
        )
        return str(json.loads(decoded.claims)["sub"])

    return verify


@pytest.mark.parametrize(
    "library", [with_pyjwt, with_joserfc, with_authlib, with_jwcrypto]
)
async def test_python_library_follows_a_rotation(
    issuer: Issuer, library: Callable[[str], Verify]
) -> None:
    verify = library(issuer.jwks_url)

    async def judge(token: str) -> str:
        try:
            return await asyncio.to_thread(verify, token)
        except Exception:  # noqa: BLE001 - each library has errors of its own
            return "refused"

    await follow_a_rotation(issuer, judge)


@pytest.mark.parametrize("library", ["jose", "jwks-rsa"])
async def test_node_library_follows_a_rotation(issuer: Issuer, library: str) -> None:
    folder = await asyncio.to_thread(installed, HERE)
    command = ["node", "verify.mjs", library, issuer.jwks_url, ISSUER, AUDIENCE]
    async with judging(command, folder) as judge:
        await follow_a_rotation(issuer, judge)


async def test_go_library_follows_a_rotation(issuer: Issuer, tmp_path: Path) -> None:
    issuer.max_age = 0  # go-oidc 2 looks for a kid when its copy has expired
    program = await asyncio.to_thread(go_program, tmp_path)
    command = [str(program), issuer.jwks_url, ISSUER]
    async with judging(command, tmp_path) as judge:
        await follow_a_rotation(issuer, judge)
        assert await judge(issuer.mint(aud="billing")) == "refused"
        assert await judge(issuer.mint(exp=1)) == "refused"
        assert await judge(mint(header={"typ": "JWT"})) == "refused"


async def follow_a_rotation(issuer: Issuer, judge: Any) -> None:  # noqa: ANN401
    """Check a token before, across and after the signing key changes."""
    first = issuer.mint(sub="before")
    assert await judge(first) == "before"
    assert await judge(issuer.mint(key="evil")) == "refused"

    issuer.keys = ["second", "first"]
    assert await judge(issuer.mint(sub="after", key="second")) == "after"
    assert await judge(first) == "before"
    assert await judge(first[:-8] + "AAAAAAAA") == "refused"


def go_program(folder: Path) -> Path:
    """Return the program that asks go-oidc as documented, with Debian's packages."""
    if shutil.which("go") is None or not GO_OIDC.is_dir():
        skip_missing("go or go-oidc is not installed")
    shutil.copy(HERE / "verify.go", folder)
    functions = f"package main\n\n{documented('Go: go-oidc', 'go')}"
    (folder / "documented.go").write_text(functions, "utf-8")
    subprocess.run(
        ["go", "build", "-o", "verify", "verify.go", "documented.go"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "GO111MODULE": "off",
            "GOPATH": str(GO_PATH),
            "GOCACHE": str(Path(__file__).parents[4] / ".local" / "go"),
        },
        check=True,
        timeout=100,
    )
    return folder / "verify"


@asynccontextmanager
async def judging(command: Sequence[str], folder: Path) -> AsyncIterator[Any]:
    """Run a program that answers each line, a token, with its subject or a refusal."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    reader, writer = process.stdout, process.stdin

    async def judge(token: str) -> str:
        writer.write(token.encode() + b"\n")
        async with asyncio.timeout(15):
            return (await reader.readline()).decode().strip().removeprefix("ok ")

    try:
        yield judge
    finally:
        writer.close()
        await process.wait()
