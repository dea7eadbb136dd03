"""The development profile: every setting that `make up` fills in.

Whatever stands in the environment already wins, so each value can be overridden.
"""

import base64
import json
import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from service_kit.origins import is_loopback
from service_kit.running.running_process import local_authority
from service_kit.settings import boolean

ROOT: Final = Path(__file__).resolve().parents[2]
LOCAL: Final = ROOT / ".local"
ADMIN_CREDENTIALS: Final = LOCAL / "admin-credentials.json"

SERVICES: Final[dict[str, dict[str, int]]] = tomllib.loads(
    (ROOT / "deploy" / "services.toml").read_text("utf-8")
)
"""The ports of each service, in the order in which they start."""

PORTS: Final = {
    f"{name.upper()}_{kind.upper()}": str(port)
    for name, ports in SERVICES.items()
    for kind, port in ports.items()
}
"""The variables that name the ports, with their defaults."""

FRONT_ENDS: Final = "http://localhost:*"
"""Front-ends run on whatever port their tools choose. Cookies of `localhost`, which is
where the gateway is, are for pages of `localhost`: browsers drop them elsewhere."""

ORIGINS: Final = f"{FRONT_ENDS},http://127.0.0.1:*"
"""Pages that may call the gateway."""

_DATABASE: Final = f"sqlite+aiosqlite:///{LOCAL.relative_to(ROOT)}/identity.db"
"""Relative, because a `?` in the tree's path would begin the URL's query."""

_OF_TOKENS: Final = (
    "AUDIENCE",
    "ACCESS_TOKEN_TYPE",
    "COOKIE_SECURE",
    "ALLOWED_ORIGINS",
)
"""Settings of identity's tokens and cookies, which those that verify them share."""

_SECRET_BYTES: Final = 32
_ADMIN_PASSWORD_BYTES: Final = 15


def development_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of all processes; makes the missing secrets."""
    settings = {**PORTS, **environ}
    settings.setdefault("IDENTITY_ISSUER", public_url(settings))
    defaults = {
        "IDENTITY_DATABASE_URL": _DATABASE,
        "IDENTITY_COOKIE_SECURE": "false",
        "IDENTITY_MAIL_URL": f"file://{quote(str(LOCAL / 'mail'))}",
        "IDENTITY_ALLOWED_ORIGINS": FRONT_ENDS,
        "IDENTITY_GATEWAY_STATUS_URLS": (
            f"{address('GATEWAY_INTERNAL', settings)}/status"
        ),
        "GATEWAY_CONFIG": str(ROOT / "deploy" / "gateway.toml"),
        "GATEWAY_PUBLIC_URL": public_url(settings),
        "GATEWAY_ALLOWED_ORIGINS": ORIGINS,
        "GATEWAY_ALLOW_CREDENTIALS": "true",
    }
    for name in map(str.upper, SERVICES):
        defaults[f"{name}_DRAIN_DELAY"] = "0"
        defaults[f"{name}_SHUTDOWN_GRACE"] = "3"
        if name != "GATEWAY":
            defaults |= _upstream(name, settings)
            if name != "IDENTITY":
                defaults |= _verification(name, {**defaults, **settings})
    for name in ("IDENTITY_KEY_ENCRYPTION_KEYS", "IDENTITY_PASSWORD_PEPPERS"):
        if name not in environ:
            defaults[f"{name}_FILE"] = str(_kept_key(name))
    if _keeps_mails_here(environ) and is_loopback(settings["IDENTITY_ISSUER"]):
        defaults["IDENTITY_MAILBOX"] = "on"
    for name in ("IDENTITY_DATABASE_URL", "IDENTITY_MAIL_URL"):
        if f"{name}_FILE" in environ:
            del defaults[name]
    return {**defaults, **settings}


def public_url(environ: Mapping[str, str]) -> str:
    """Return where the gateway is found by people on this machine."""
    return f"http://localhost:{environ['GATEWAY_PORT']}"


def admin_credentials() -> dict[str, str]:
    """Return the first admin's username, e-mail and password; made once, then kept."""
    if not ADMIN_CREDENTIALS.exists():
        made = {
            "username": "admin",
            "email": "admin@example.org",
            "password": secrets.token_urlsafe(_ADMIN_PASSWORD_BYTES),
        }
        write_private(ADMIN_CREDENTIALS, json.dumps(made, indent=1) + "\n")
    read: dict[str, str] = json.loads(ADMIN_CREDENTIALS.read_text("utf-8"))
    return read


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner may read; it never exists half."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    unfinished.rename(path)


def gives_cookies(environ: Mapping[str, str]) -> bool:
    """Return whether clients get cookies."""
    compat = boolean(environ.get("TUTORIAL_COMPAT") or "off")
    return compat or environ.get("IDENTITY_TOKEN_TRANSPORT") in {"cookie", "both"}


def _keeps_mails_here(environ: Mapping[str, str]) -> bool:
    return not {"IDENTITY_MAIL_URL", "IDENTITY_MAIL_URL_FILE"} & environ.keys()


def _upstream(service: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return where the gateway finds a service, and where it probes it."""
    probe = settings[f"{service}_INTERNAL_PORT"]
    return {
        f"GATEWAY_UPSTREAM_{service}": f"{address(service, settings)}?probe={probe}"
    }


def _verification(service: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return what a service needs that verifies access tokens."""
    issuer, identity = settings["IDENTITY_ISSUER"], address("IDENTITY", settings)
    lists = "/api/auth/statuslists/"
    said = {name: settings.get(f"IDENTITY_{name}") for name in _OF_TOKENS}
    return {
        **{f"{service}_{name}": value for name, value in said.items() if value},
        f"{service}_ISSUER": issuer,
        f"{service}_JWKS_URL": f"{identity}/.well-known/jwks.json",
        f"{service}_STATUS_LIST_URLS": f"{issuer}{lists}={identity}{lists}",
    }


def address(listener: str, settings: Mapping[str, str]) -> str:
    """Return the URL of what ``…_HOST`` and ``…_PORT`` have listen on this machine."""
    host = settings.get(f"{listener}_HOST", "127.0.0.1")
    return f"http://{local_authority(host, settings[f'{listener}_PORT'])}"


def _kept_key(name: str) -> Path:
    path = LOCAL / "secrets" / name.removeprefix("IDENTITY_").lower().replace("_", "-")
    if not path.exists():
        key = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES))
        write_private(path, key.decode().rstrip("=") + "\n")
    return path
