"""Tokens that must be refused, each for one reason, under the requirement's number."""

import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    LISTS,
    OMIT,
    b64,
    changed,
    good_claims,
    good_header,
    mint,
    private_key,
    public_half,
    sign,
)

from service_kit.tokens import public_jwk

Make = Callable[[], str]
HOUR: Final = 3600


def _header(**changes: object) -> Make:
    return lambda: mint(header=changes)


def _claims(**changes: object) -> Make:
    return lambda: mint(claims=changes)


def _payload(rewrite: Callable[[bytes], bytes]) -> Make:
    return lambda: sign(good_header(), rewrite(json.dumps(good_claims()).encode()))


def _head(rewrite: Callable[[bytes], bytes]) -> Make:
    return lambda: sign(rewrite(json.dumps(good_header()).encode()), good_claims())


def _edited(edit: Callable[[list[str]], str]) -> Make:
    return lambda: edit(mint().split("."))


def _signed_by_another_padding(algorithm: str) -> str:
    """Return a token that the right key signed by another algorithm."""
    header = good_header() | {"alg": algorithm}
    return jwt.encode(
        good_claims(), private_key(), algorithm, {**header, "typ": "at+jwt"}
    )


def _mac(secret: Callable[[], bytes]) -> Make:
    def make() -> str:
        header = good_header() | {"alg": "HS256"}
        signed = ".".join(
            b64(json.dumps(part).encode()) for part in (header, good_claims())
        )
        return f"{signed}.{b64(hmac.digest(secret(), signed.encode(), 'sha256'))}"

    return make


def _public_bytes(encoding: s.Encoding, form: s.PublicFormat) -> bytes:
    return private_key().public_key().public_bytes(encoding, form)


def _raw_signature(algorithm: SHA384 | SHA512, label: str) -> Make:
    def make() -> str:
        signed = mint(header={"alg": label}).rsplit(".", 1)[0]
        mark = private_key().sign(signed.encode(), padding.PKCS1v15(), algorithm)
        return f"{signed}.{b64(mark)}"

    return make


def _pss() -> str:
    """Return a token whose header says RS256 and whose signature is PS256."""
    signed = mint().rsplit(".", 1)[0]
    pss = padding.PSS(padding.MGF1(SHA256()), 32)
    return f"{signed}.{b64(private_key().sign(signed.encode(), pss, SHA256()))}"


def _duplicate(name: str, value: str, *, first: bool) -> Callable[[bytes], bytes]:
    member = f'"{name}":{value}'.encode()
    if first:
        return lambda body: b"{" + member + b"," + body[1:]
    return lambda body: body[:-1] + b"," + member + b"}"


def _literal(name: str, value: str) -> Make:
    """Write the claim's value as given, valid JSON or not."""

    def make() -> str:
        body = json.dumps(changed(good_claims(), {name: OMIT}))
        return sign(good_header(), f'{body[:-1]},"{name}":{value}}}'.encode())

    return make


def _algorithms() -> Iterator[tuple[str, Make]]:
    for alg in (
        *("none", "None", "noNE", "NONE", "rs256", "Rs256", "RS256 ", "RS384"),
        *("RS512", "PS256", "ES256", "HS256", "EdDSA", "RSA1_5", ""),
    ):
        yield f"T1-alg-{alg or 'empty'}", _header(alg=alg)
    for name, value in {
        "list": ["RS256"],
        "object": {"RS256": 1},
        "null": None,
        "true": True,
        "number": 256,
        "absent": OMIT,
    }.items():
        yield f"T1-alg-is-{name}", _header(alg=value)
    yield "T1-valid-ps256", lambda: _signed_by_another_padding("PS256")
    yield "T1-valid-rs384", lambda: _signed_by_another_padding("RS384")
    yield "T1-valid-rs512", lambda: _signed_by_another_padding("RS512")
    yield "T1-says-rs256-signed-ps256", _pss
    yield "T1-says-rs256-signed-rs384", _raw_signature(SHA384(), "RS256")
    yield "T1-says-rs256-signed-rs512", _raw_signature(SHA512(), "RS256")
    yield "T1-unsigned", _edited(lambda p: f"{p[0]}.{p[1]}.")
    yield (
        "T1-none-unsigned",
        lambda: mint(header={"alg": "none"}).rsplit(".", 1)[0] + ".",
    )


def _own_jwk() -> dict[str, str]:
    return public_jwk(public_half())


def _confusions() -> Iterator[tuple[str, Make]]:
    pem, der = s.Encoding.PEM, s.Encoding.DER
    spki, pkcs1 = s.PublicFormat.SubjectPublicKeyInfo, s.PublicFormat.PKCS1
    secrets: dict[str, Callable[[], bytes]] = {
        "spki-pem": lambda: _public_bytes(pem, spki),
        "spki-pem-stripped": lambda: _public_bytes(pem, spki).strip(),
        "pkcs1-pem": lambda: _public_bytes(pem, pkcs1),
        "pkcs1-pem-stripped": lambda: _public_bytes(pem, pkcs1).strip(),
        "spki-der": lambda: _public_bytes(der, spki),
        "pkcs1-der": lambda: _public_bytes(der, pkcs1),
        "jwk": lambda: json.dumps(_own_jwk()).encode(),
        "jwk-compact": lambda: json.dumps(_own_jwk(), separators=(",", ":")).encode(),
        "jwks": lambda: json.dumps({"keys": [_own_jwk()]}).encode(),
        "n-bytes": lambda: public_half().public_key.public_numbers().n.to_bytes(384),
        "n-base64": lambda: bytes(_own_jwk()["n"], "ascii"),
        "empty": lambda: b"",
        "kid": lambda: bytes(public_half().kid, "ascii"),
    }
    for name, secret in secrets.items():
        yield f"T2-hs256-with-{name}", _mac(secret)


def _foreign_keys() -> Iterator[tuple[str, Make]]:
    def forged(**header: object) -> Make:
        return lambda: mint(key="evil", header={"kid": public_half().kid, **header})

    yield "T3-signed-by-another-key", forged()
    yield "T3-own-kid-of-another-key", lambda: mint(key="evil")
    yield "T3-jku", forged(jku="http://127.0.0.1:9/jwks.json")
    yield "T3-x5u", forged(x5u="http://127.0.0.1:9/chain.pem")
    yield (
        "T3-jwk",
        lambda: mint(
            key="evil",
            header={"kid": public_half().kid, "jwk": public_jwk(public_half("evil"))},
        ),
    )
    yield (
        "T3-jwk-and-its-kid",
        lambda: mint(key="evil", header={"jwk": public_jwk(public_half("evil"))}),
    )
    yield "T3-x5c", forged(x5c=["MIIB"])
    for name, kid in {
        "absent": OMIT,
        "null": None,
        "empty": "",
        "number": 1,
        "list": ["k"],
        "path": "../../dev/null",
        "sql": "' OR 1=1 --",
        "long": "k" * 300,
        "surrogate": "\ud800",
    }.items():
        yield f"T3-kid-{name}", _header(kid=kid)


def _extensions() -> Iterator[tuple[str, Make]]:
    for name, crit in {
        "exp": ["exp"],
        "empty": [],
        "text": "exp",
        "null": None,
        "b64": ["b64"],
        "unknown": ["x"],
    }.items():
        yield f"T4-crit-{name}", _header(crit=crit)
    yield "T4-b64-false", _header(b64=False)
    yield "T4-b64-false-and-crit", _header(b64=False, crit=["b64"])


def _types() -> Iterator[tuple[str, Make]]:
    for typ in (
        *("JWT", "jwt", "", "statuslist+jwt", "refresh+jwt", "id_token+jwt"),
        *("at+jwt ", " at+jwt", "at", "at+jwt;v=1", "text/at+jwt", "application/"),
        *("application/application/at+jwt", "logout+jwt", "dpop+jwt", "JOSE"),
    ):
        yield f"T5-typ-{typ or 'empty'}", _header(typ=typ)
    for name, value in {
        "absent": OMIT,
        "null": None,
        "number": 1,
        "list": ["at+jwt"],
    }.items():
        yield f"T5-typ-is-{name}", _header(typ=value)


def _required() -> Iterator[tuple[str, Make]]:
    names = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti", "roles")
    for name in names:
        yield f"T6-no-{name}", _claims(**{name: OMIT})
        yield f"T6-{name}-null", _claims(**{name: None})
    for name in ("sub", "client_id", "jti", "sid"):
        yield f"T6-{name}-empty", _claims(**{name: ""})
        yield f"T6-{name}-number", _claims(**{name: 42})
        yield f"T6-{name}-list", _claims(**{name: ["42"]})
    yield "T6-sid-null", _claims(sid=None)
    yield "T6-sub-very-long", _claims(sub="4" * 5000)
    yield "T6-sub-control-character", _claims(sub="4\n2")
    yield "T6-sub-surrogate", _claims(sub="\ud800")
    yield "T6-sub-not-ascii", _claims(sub="\u0664\u0662")


def _issuers() -> Iterator[tuple[str, Make]]:
    for name, issuer in {
        "other": "https://evil.example",
        "prefix": ISSUER[:-1],
        "suffix": ISSUER + ".evil.example",
        "slash": ISSUER + "/",
        "upper": ISSUER.upper(),
        "space": ISSUER + " ",
        "list": [ISSUER],
        "empty": "",
        "object": {"iss": ISSUER},
        "true": True,
    }.items():
        yield f"T7-iss-{name}", _claims(iss=issuer)
    for name, audience in {
        "other": "billing",
        "empty": "",
        "empty-list": [],
        "nested": [[AUDIENCE]],
        "with-number": [AUDIENCE, 1],
        "with-null": [None, AUDIENCE],
        "part": AUDIENCE[:-1],
        "longer": AUDIENCE + "s",
        "upper": AUDIENCE.upper(),
        "object": {AUDIENCE: True},
        "comma-list": f"{AUDIENCE},billing",
        "others": ["billing", "x"],
        "true": True,
    }.items():
        yield f"T7-aud-{name}", _claims(aud=audience)


def _times() -> Iterator[tuple[str, Make]]:
    now = int(time.time())
    yield "T8-expired", _claims(exp=now - HOUR)
    yield "T8-expired-beyond-skew", _claims(exp=now - 61)
    yield "T8-from-the-future", _claims(iat=now + HOUR)
    yield "T8-not-before", _claims(nbf=now + HOUR)
    for name in ("exp", "iat", "nbf"):
        yield f"T8-{name}-text", _claims(**{name: "1999999999"})
        yield f"T8-{name}-true", _claims(**{name: True})
        yield f"T8-{name}-list", _claims(**{name: [now + HOUR]})
        yield f"T8-{name}-object", _claims(**{name: {"n": now}})
        yield f"T8-{name}-nan", _literal(name, "NaN")
        yield f"T8-{name}-infinity", _literal(name, "Infinity")
        yield f"T8-{name}-too-large-a-float", _literal(name, "1e999")
        yield f"T8-{name}-negative", _claims(**{name: -1})
        yield f"T8-{name}-5000-digits", _literal(name, "9" * 5000)
    yield "T8-nbf-null", _claims(nbf=None)
    yield "T8-exp-arabic-digits", _claims(exp="\u0662\u0660\u0660\u0660\u0660\u0660")
    yield "T8-exp-underscores", _claims(exp="1_999_999_999")
    yield "T8-exp-spaces", _claims(exp=" 1999999999 ")
    yield "T8-exp-year-10000", _claims(exp=253_402_300_800)


def _recoded(codec: str) -> Callable[[bytes], bytes]:
    return lambda body: body.decode().encode(codec)


def _always(body: bytes) -> Callable[[bytes], bytes]:
    return lambda _: body


def _encodings() -> Iterator[tuple[str, Make]]:
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"):
        yield f"T9-payload-{codec}", _payload(_recoded(codec))
        yield f"T9-header-{codec}", _head(_recoded(codec))
    wrong: dict[str, bytes] = {
        "array": b"[]",
        "array-of-object": b"[{}]",
        "text": b'"x"',
        "number": b"1",
        "null": b"null",
        "empty-object": b"{}",
        "two-values": b"{}{}",
        "nothing": b" ",
        "not-utf-8": b'{"\xff":1}',
        "not-json": b"{exp:1}",
        "nested-20000-arrays": b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
        "nested-unclosed": b'{"a":' + b"[" * 5900,
        "nested-objects": b'{"a":' * 900 + b"1" + b"}" * 900,
        "string-without-end": b'{"' + b"[" * 9 + b'":"' + b'\\"' * 2900,
        "trailing-comma": b'{"a":1,}',
        "comment": b'{"a":1}//',
    }
    for name, body in wrong.items():
        yield f"T9-payload-{name}", _payload(_always(body))
        yield f"T9-header-{name}", _head(_always(body))


def _spellings() -> Iterator[tuple[str, Make]]:
    yield "T10-empty", lambda: ""
    yield "T10-word", lambda: "token"
    yield "T10-dots", lambda: ".."
    yield "T10-four-dots", lambda: "a.b.c.d"
    yield "T10-two-parts", _edited(lambda p: f"{p[0]}.{p[1]}")
    yield "T10-four-parts", _edited(lambda p: ".".join([*p, p[2]]))
    yield "T10-five-parts", _edited(lambda p: ".".join([*p, "", ""]))
    yield "T10-padded-signature", _edited(lambda p: f"{p[0]}.{p[1]}.{p[2]}=")
    yield "T10-padded-twice", _edited(lambda p: f"{p[0]}.{p[1]}.{p[2]}==")
    yield "T10-padded-header", _edited(lambda p: f"{p[0]}=.{p[1]}.{p[2]}")
    yield "T10-padded-payload", _edited(lambda p: f"{p[0]}.{p[1]}=.{p[2]}")
    yield "T10-space-before", _edited(lambda p: " " + ".".join(p))
    yield "T10-space-after", _edited(lambda p: ".".join(p) + " ")
    yield "T10-newline-after", _edited(lambda p: ".".join(p) + "\n")
    yield "T10-newline-inside", _edited(lambda p: f"{p[0]}.\n{p[1]}.{p[2]}")
    yield "T10-nul", _edited(lambda p: ".".join(p) + "\0")
    yield "T10-quoted", _edited(lambda p: f'"{".".join(p)}"')
    yield "T10-bearer-inside", _edited(lambda p: "Bearer " + ".".join(p))
    yield "T10-standard-base64", _edited(lambda p: f"{p[0]}.{p[1]}.+/{p[2][2:]}")
    yield "T10-no-header", _edited(lambda p: f".{p[1]}.{p[2]}")
    yield "T10-no-payload", _edited(lambda p: f"{p[0]}..{p[2]}")
    yield "T10-json-flattened", _edited(lambda p: json.dumps({"payload": p[1]}))
    yield "T10-surrogate", _edited(lambda p: ".".join(p) + "\udcff")
    yield "T10-not-ascii-letter", _edited(lambda p: ".".join(p) + "\u00e9")
    yield "T10-full-width", _edited(lambda p: ".".join(p)[:-1] + "\uff21")
    yield "T10-one-letter-short", _edited(lambda p: ".".join(p)[:-1])
    yield "T10-one-letter-more", _edited(lambda p: ".".join(p) + "A")
    yield "T10-stray-bits", _with_stray_bits
    yield "T10-signature-flipped", _edited(lambda p: f"{p[0]}.{p[1]}.{p[2][::-1]}")
    yield "T10-parts-swapped", _edited(lambda p: f"{p[1]}.{p[0]}.{p[2]}")
    yield "T10-impossible-length", _edited(lambda p: f"{p[0]}.{p[1]}.AAAAA")


def _with_stray_bits() -> str:
    """Spell the header's last character otherwise; lenient decoders don't notice."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    header = good_header() | {"x": ""}
    while len(json.dumps(header)) % 3 != 1:
        header["x"] += "x"
    head, payload, mark = sign(header, good_claims()).split(".")
    return f"{head[:-1]}{letters[letters.index(head[-1]) + 1]}.{payload}.{mark}"


def _duplicates() -> Iterator[tuple[str, Make]]:
    future = str(int(time.time()) + HOUR)
    yield "T11-exp-then-past", _payload(_duplicate("exp", "1", first=False))
    yield "T11-past-then-exp", _payload(_duplicate("exp", "1", first=True))
    yield "T11-same-exp-twice", _payload(_duplicate("exp", future, first=False))
    yield "T11-roles-twice", _payload(_duplicate("roles", '["admin"]', first=False))
    yield "T11-alg-twice", _head(_duplicate("alg", '"none"', first=True))
    yield "T11-kid-twice", _head(_duplicate("kid", '"x"', first=True))
    yield "T11-escaped-name", _payload(_duplicate("e\\u0078p", "1", first=False))
    nested = '{"status_list":{"idx":0,"idx":1,"uri":"' + LISTS + '1"}}'
    yield "T11-idx-twice", _literal("status", nested)


def _sizes() -> Iterator[tuple[str, Make]]:
    yield "T12-16-kB", _claims(padding="x" * 16_000)
    yield "T12-1-MB", lambda: "A" * 500_000 + "." + "A" * 499_998 + ".A"
    yield "T12-1-MB-signed", _claims(padding="x" * 700_000)
    yield "T12-long-header", _header(padding="x" * 2000)
    yield "T12-many-dots", lambda: "." * 8000
    yield (
        "T12-5000-digits-in-header",
        lambda: sign(
            json.dumps(good_header())[:-1].encode() + b',"x":' + b"9" * 5000 + b"}",
            good_claims(),
        ),
    )
    yield "T12-4000-roles", _claims(roles=["r"] * 1500)


def _roles() -> Iterator[tuple[str, Make]]:
    for name, roles in {
        "text": "admin",
        "csv": "user,admin",
        "object": {"admin": True},
        "true": True,
        "number": 1,
        "with-number": ["admin", 1],
        "with-null": [None],
        "nested": [["admin"]],
    }.items():
        yield f"T13-roles-{name}", _claims(roles=roles)


def _statuses() -> Iterator[tuple[str, Make]]:
    def at(**reference: object) -> Make:
        members = changed({"idx": 0, "uri": f"{LISTS}1"}, reference)
        return _claims(status={"status_list": members})

    for name, idx in {
        "negative": -1,
        "float": 0.0,
        "text": "0",
        "true": True,
        "null": None,
        "absent": OMIT,
        "list": [0],
    }.items():
        yield f"S3-idx-{name}", at(idx=idx)
    for name, uri in {"absent": OMIT, "null": None, "empty": "", "number": 1}.items():
        yield f"S3-uri-{name}", at(uri=uri)
    statuses: dict[str, object] = {
        "null": None,
        "text": "valid",
        "empty": {},
        "list": [],
        "inner-null": {"status_list": None},
        "inner-list": {"status_list": []},
    }
    for name, status in statuses.items():
        yield f"S3-status-{name}", _claims(status=status)


HOSTILE_TOKENS: Final = [
    pytest.param(make, id=name)
    for table in (
        _algorithms,
        _confusions,
        _foreign_keys,
        _extensions,
        _types,
        _required,
        _issuers,
        _times,
        _encodings,
        _spellings,
        _duplicates,
        _sizes,
        _roles,
        _statuses,
    )
    for name, make in table()
]
"""Make each one; a verifier that accepts it, or stumbles over it, is broken."""
