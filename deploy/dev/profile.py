"""The development profile: every setting that `make up` fills in.

Whatever stands in the environment already wins, so each value can be overridden.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

ROOT: Final = Path(__file__).resolve().parents[2]
LOCAL: Final = ROOT / ".local"
ADMIN_CREDENTIALS: Final = LOCAL / "admin-credentials.json"

PORTS: Final = {
    "GATEWAY_PORT": "8080",
    "IDENTITY_PORT": "8001",
    "CONTENT_PORT": "8002",
    "GATEWAY_INTERNAL_PORT": "9080",
    "IDENTITY_INTERNAL_PORT": "9001",
    "CONTENT_INTERNAL_PORT": "9002",
}

FRONT_ENDS: Final = "http://localhost:*"
"""Front-ends run on whatever port their tools choose. Cookies of `localhost`, which is
where the gateway is, are for pages of `localhost`: browsers drop them elsewhere."""

ORIGINS: Final = f"{FRONT_ENDS},http://127.0.0.1:*"
"""Pages that may call the gateway."""

_SECRET_BYTES: Final = 32
_ADMIN_PASSWORD_BYTES: Final = 15


def development_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of all processes; makes the missing secrets."""
    settings = {**PORTS, **environ}
    identity = f"http://127.0.0.1:{settings['IDENTITY_PORT']}"
    content = f"http://127.0.0.1:{settings['CONTENT_PORT']}"
    issuer = settings.setdefault("IDENTITY_ISSUER", public_url(settings))
    lists = "/api/auth/statuslists/"
    defaults = {
        "IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{LOCAL / 'identity.db'}",
        "IDENTITY_COOKIE_SECURE": "false",
        "IDENTITY_MAIL_URL": f"file://{quote(str(LOCAL / 'mail'))}",
        "IDENTITY_ALLOWED_ORIGINS": FRONT_ENDS,
        "CONTENT_ISSUER": issuer,
        "CONTENT_COOKIE_SECURE": "false",
        "CONTENT_JWKS_URL": f"{identity}/.well-known/jwks.json",
        "CONTENT_STATUS_LIST_URLS": f"{issuer}{lists}={identity}{lists}",
        "GATEWAY_CONFIG": str(ROOT / "deploy" / "gateway.toml"),
        "GATEWAY_ALLOWED_ORIGINS": ORIGINS,
        "GATEWAY_ALLOW_CREDENTIALS": "true",
        "GATEWAY_UPSTREAM_IDENTITY": _probed(settings, identity, "IDENTITY"),
        "GATEWAY_UPSTREAM_CONTENT": _probed(settings, content, "CONTENT"),
    }
    for service in ("IDENTITY", "CONTENT", "GATEWAY"):
        defaults[f"{service}_DRAIN_DELAY"] = "0"
        defaults[f"{service}_SHUTDOWN_GRACE"] = "3"
    for name in ("IDENTITY_KEY_ENCRYPTION_KEYS", "IDENTITY_PASSWORD_PEPPERS"):
        if name not in environ:
            defaults[f"{name}_FILE"] = str(_kept_key(name))
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


def _probed(environ: Mapping[str, str], address: str, service: str) -> str:
    return f"{address}?probe={environ[f'{service}_INTERNAL_PORT']}"


def gives_cookies(environ: Mapping[str, str]) -> bool:
    """Return whether clients get cookies."""
    compat = environ.get("TUTORIAL_COMPAT", "").lower() in {"true", "1", "yes", "on"}
    return compat or environ.get("IDENTITY_TOKEN_TRANSPORT") in {"cookie", "both"}


def _kept_key(name: str) -> Path:
    path = LOCAL / "secrets" / name.removeprefix("IDENTITY_").lower().replace("_", "-")
    if not path.exists():
        key = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES))
        write_private(path, key.decode().rstrip("=") + "\n")
    return path
