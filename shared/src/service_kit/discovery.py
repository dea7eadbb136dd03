"""Where an issuer describes itself (RFC 8414)."""

from typing import Final
from urllib.parse import urlsplit

METADATA: Final = "/.well-known/oauth-authorization-server"
"""The path of the metadata of an issuer without a path."""


def metadata_url(issuer: str) -> str:
    """Return where the metadata is: an issuer's own path comes last (section 3.1)."""
    parts = urlsplit(issuer)
    return parts._replace(path=f"{METADATA}{parts.path}").geturl()
