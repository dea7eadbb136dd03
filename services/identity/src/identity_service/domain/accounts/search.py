"""By which texts a user is found.

A search is the beginning of any word of a name or an address. Both are compared as
`Username.key_of` has them: without marks, case and width.
"""

import re
from typing import Final

from identity_service.domain.accounts.usernames import Username

SEARCH_WORD_LENGTH: Final = 64
"""Code points of a word that are compared."""

_WORDS: Final = re.compile(r"(?<!\w)(?=\w)|(?<=\w)(?=\W)|_|(?<=_)|(?<=\W)(?=\W)")
"""Where a word begins: at letters, and at each sign that is none."""


def search_key(text: str) -> str:
    """Return the normalised form of a search text, for comparison."""
    return Username.key_of(text)[:SEARCH_WORD_LENGTH].rstrip()


def search_words(username: str, email: str) -> frozenset[str]:
    """Return each rest of a name and an address that begins where a word does."""
    rests = (
        key[match.start() :].strip()[:SEARCH_WORD_LENGTH].rstrip()
        for key in map(Username.key_of, (username, email))
        for match in _WORDS.finditer(key)
    )
    return frozenset(rest for rest in rests if rest)
