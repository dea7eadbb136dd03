"""The secrets of clients that may introspect tokens: known by digest alone."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self

_ENTRY: Final = re.compile(r"([\x21-\x39\x3b-\x7e]{1,64}):([0-9a-f]{64})", re.ASCII)
"""A client id without colon or space, and the SHA-256 of its secret in hex."""

_NOBODYS: Final = bytes(hashlib.sha256().digest_size)
"""No secret has this digest: stands for unknown clients, who are compared alike."""


class ClientSecrets:
    """Authenticates clients by their secrets.

    A fast digest will do: the secrets are made by machines, with 128 bits or more.
    """

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        self._digests = dict(digests)

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Return the clients of ``client-id:digest`` entries, or raise ValueError."""
        digests: dict[str, bytes] = {}
        for place, entry in enumerate(entries, 1):
            found = _ENTRY.fullmatch(entry)
            if found is None:
                raise ValueError(
                    f"has no client-id:SHA-256 in hex as its entry {place}"
                )
            if found[1] in digests:
                raise ValueError(f"names the client of entry {place} twice")
            digests[found[1]] = bytes.fromhex(found[2])
        return cls(digests)

    def changes(self, wanted: Self) -> Iterator[tuple[str, str]]:
        """Yield how the clients would have to change, and which, in order of ids."""
        for name in sorted(self._digests.keys() | wanted._digests.keys()):
            now, then = self._digests.get(name), wanted._digests.get(name)
            if now is None:
                yield "to be added", name
            elif then is None:
                yield "to be removed", name
            elif not hmac.compare_digest(now, then):
                yield "to get another digest", name

    def match(self, untrusted_id: str, untrusted_secret: str) -> bool:
        """Return whether the secret is that client's; takes the same time for all."""
        known = self._digests.get(untrusted_id, _NOBODYS)
        digest = hashlib.sha256(untrusted_secret.encode(errors="replace")).digest()
        return hmac.compare_digest(digest, known)
