"""Access tokens: issued by one service, verified offline by any other.

This is the package's public face, for our services and for other people's.
"""

from service_kit.tokens.claims import ASSURANCE, AccessClaims, StatusReference
from service_kit.tokens.copies import CopiesOnDisk
from service_kit.tokens.errors import (
    InvalidTokenError,
    KeysUnavailableError,
    RefusalReason,
    StatusUnavailableError,
)
from service_kit.tokens.jwk import (
    ALGORITHM,
    UnusableKeyError,
    parse_jwk,
    public_jwk,
    thumbprint,
    verification_key,
)
from service_kit.tokens.key_set import KeySet, StaticKeySet, VerificationKey
from service_kit.tokens.memory import VerifiedTokens
from service_kit.tokens.remote_key_set import RemoteKeySet
from service_kit.tokens.remote_status_lists import RemoteStatusLists
from service_kit.tokens.status_list import Status, StatusList
from service_kit.tokens.status_list_token import (
    VerifiedStatusList,
    status_list_claims,
    verify_status_list,
)
from service_kit.tokens.verifier import StatusSource, TokenVerifier

__all__ = [
    "ALGORITHM",
    "ASSURANCE",
    "AccessClaims",
    "CopiesOnDisk",
    "InvalidTokenError",
    "KeySet",
    "KeysUnavailableError",
    "RefusalReason",
    "RemoteKeySet",
    "RemoteStatusLists",
    "StaticKeySet",
    "Status",
    "StatusList",
    "StatusReference",
    "StatusSource",
    "StatusUnavailableError",
    "TokenVerifier",
    "UnusableKeyError",
    "VerificationKey",
    "VerifiedStatusList",
    "VerifiedTokens",
    "parse_jwk",
    "public_jwk",
    "status_list_claims",
    "thumbprint",
    "verification_key",
    "verify_status_list",
]
