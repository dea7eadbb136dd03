"""Write docs/requirements.md: every security requirement with the tests that show it.

Run ``make docs`` after adding tests. A test shows a
requirement by carrying its ID: ``test_r3_…``, or a parameter's id ``"R3 …"``.
"""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SUPPORT: Final = ROOT / "tests" / "support"
"""Its tables of hostile input are parameters of tests elsewhere."""

DOCUMENT: Final = ROOT / "docs" / "requirements.md"

PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "Access tokens": {
        "T1": "RS256 alone, decided before any key is looked up",
        "T2": "no key confusion: nothing MACed with a public key passes",
        "T3": "keys come from the issuer's JWKS alone; jku, x5u, jwk, x5c are ignored",
        "T4": "unknown crit and b64=false are refused",
        "T5": "typ must say access token",
        "T6": "every claim of RFC 9068 must be there",
        "T7": "iss exact, aud ours alone or among others",
        "T8": "dates are numbers, within the allowed clock skew",
        "T9": "UTF-8 JSON objects only",
        "T10": "compact form only, no padding, no white space",
        "T11": "duplicate members are refused",
        "T12": "a hostile token is a refusal: never a 5xx, a wait, a request",
        "T13": "roles is an array of exactly known names",
        "T14": "sub identifies the user, is never reused, and is no name",
        "T15": "one usable key per kid: RSA, sig, RS256, 2048 bit or more",
        "T16": "RSA-3072 for new keys",
    },
    "Bearer transport": {
        "B1": "401 challenges; no error code when nothing was sent",
        "B2": "invalid_token, insufficient_scope, invalid_request where they belong",
        "B3": "the scheme in any case, the token in its own syntax",
        "B4": "two headers with different tokens are refused",
        "B5": "no token in a query",
        "B6": "undecodable header bytes never turn into a valid token",
        "B7": "protected responses are not stored",
        "B8": "the gateway leaves challenges alone",
    },
    "Keys, metadata, introspection, revocation": {
        "K1": "the JWKS holds public members alone, rightly encoded",
        "K2": "kid is the RFC 7638 thumbprint",
        "K3": "the JWKS is public, cacheable, the same from each replica",
        "K4": "keys are published before they sign and kept until their tokens end",
        "K5": "metadata of RFC 8414 names the exact issuer",
        "K6": "introspection needs a client and says nothing of inactive tokens",
        "K7": "revocation is idempotent and ends the session",
        "K8": "private keys never leave: sealed, not logged, not world-readable",
    },
    "Refresh tokens": {
        "R1": "256 bits, no usable token stored",
        "R2": "rotated at every use",
        "R3": "reuse ends the session and its access tokens",
        "R4": "simultaneous uses leave one live successor",
        "R5": "idle and absolute life both end a session",
        "R6": "password change, disabling, deletion, sign-out everywhere end sessions",
        "R7": "a role change reaches tokens within the bound",
        "R8": "a lost response is forgiven within the grace",
        "R9": "each sign-in is a session of its own, listed and ended singly",
    },
    "Status lists": {
        "S1": "the encoding of the draft's vectors, both ways",
        "S2": "a status never rescues a bad token, nor is fetched for one",
        "S3": "a bad list is refused",
        "S4": "decompression is capped",
        "S5": "an index is never given twice, nor guessable",
        "S6": "revocation arrives within ttl and a fetch",
        "S7": "a list is no access token, an access token no list",
        "S8": "one fetch per ttl and replica",
    },
    "Passwords and accounts": {
        "P1": "a least length, by setting",
        "P2": "64 code points and more, nothing cut off",
        "P3": "keyed pre-hash before bcrypt",
        "P4": "anything printable, no trimming, NFC",
        "P5": "common passwords and the account's own words are refused",
        "P6": "self-describing hashes, upgraded at sign-in",
        "P7": "one refusal, same bytes and time, for every reason",
        "P8": "guessing is slowed, nobody is locked out",
        "P9": "hashing off the loop in a bounded queue",
        "P10": "one account per visual class of names",
        "P11": "a password change asks for the present one, ends other sessions",
        "P12": "sign-up assigns no role it may not",
        "P13": "no default credentials",
        "P14": "sign-up is throttled",
    },
    "Gateway": {
        "G1": "hop-by-hop headers stop here, both ways",
        "G2": "Via, without internal names",
        "G3": "TRACE and CONNECT refused, Max-Forwards obeyed",
        "G4": "ambiguous framing never passes",
        "G5": "Host is required, single and valid",
        "G6": "absolute-form is accepted and never dialled",
        "G7": "414 and 431 beyond the limits",
        "G8": "router and upstream see the same path",
        "G9": "only what is routed is reachable",
        "G10": "identity headers of clients are dropped",
        "G11": "1xx tolerated, Expect ends here",
        "G12": "a malformed or silent upstream is a 502 or 504 problem",
        "G13": "a truncated body is never a clean end",
        "G14": "a POST is delivered at most once",
        "G15": "responses of two users never mix",
        "G16": "HEAD, 204 and 304 have no body",
        "G17": "everything has a limit",
        "G18": "no versions in Server",
    },
    "CORS, cookies, CSRF": {
        "C1": "exact origins alone",
        "C2": "Vary: Origin always",
        "C3": "preflights end at the gateway",
        "C4": "credentials never with a wildcard",
        "C5": "errors of the gateway carry CORS too",
        "C6": "cookies: prefixes, HttpOnly, SameSite, cleared alike",
        "C7": "unsafe methods by cookie need their own site",
        "C8": "a header beats a cookie, and switches no check off",
        "C9": "security headers on every response",
    },
}

_IN_NAME: Final = re.compile(r"(?:^test|_)([tbkrspgc]\d{1,2})(?=_|$)")
_IN_STRING: Final = re.compile(r"^(?:[TBKRSPGC]\d{1,2}[ ,:/-]*)+")
_ID: Final = re.compile(r"[TBKRSPGC]\d{1,2}")


@functools.cache
def found() -> dict[str, list[str]]:
    """Return the tests that carry each ID, in order of file and line."""
    tests: dict[str, list[str]] = defaultdict(list)
    files = [*(ROOT / "tests").rglob("test_*.py"), *SUPPORT.glob("hostile_*.py")]
    for file in sorted(files):
        place = file.relative_to(ROOT).as_posix()
        for requirement, name in _carried(ast.parse(file.read_text("utf-8"))):
            entry = f"{place}::{name}" if name else place
            if entry not in tests[requirement]:
                tests[requirement].append(entry)
    return tests


def _carried(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each ID with the name of its test, "" for an ID of a parameter."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name.startswith("test_"):
                    for requirement in _IN_NAME.findall(name):
                        yield requirement.upper(), name
            case ast.Constant(value=str(text)):
                if carried := _IN_STRING.match(text):
                    for requirement in _ID.findall(carried.group()):
                        yield requirement, ""
            case _:
                pass


def document() -> str:
    """Return the text of docs/requirements.md."""
    tests = found()
    lines = [
        "# Security requirements and their tests",
        "",
        "`make docs` writes this page; a test fails while it is stale, or",
        "while a requirement has no test. A file without a test's name holds a",
        "table whose rows carry the ID.",
        "",
    ]
    for part, requirements in PARTS.items():
        lines += [f"## {part}", ""]
        for requirement, words in requirements.items():
            lines.append(f"- **{requirement}:** {words}")
            lines += [f"  - `{test}`" for test in tests.get(requirement, [])]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
