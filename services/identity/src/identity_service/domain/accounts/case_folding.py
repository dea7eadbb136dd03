"""Case folding: what makes two texts the same that differ in case or width alone."""

import unicodedata


def folded(text: str) -> str:
    """Return ``text`` without differences of case and width (toNFKC_Casefold)."""
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())
