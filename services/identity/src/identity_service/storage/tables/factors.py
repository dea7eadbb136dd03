"""Second factors."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    LargeBinary,
    String,
    Table,
)

from identity_service.storage.tables.columns import KEYLESS, Id, Moment, metadata

totp_secrets: Final = Table(
    "totp_secrets",
    metadata,
    Column(
        "user_id",
        Id,
        ForeignKey("users.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("confirmed_at", Moment),
    **KEYLESS,
)
"""What authenticator apps make codes of. Codes of ``last_step`` and before are spent;
until the first code has confirmed it, nobody is asked for one.
"""

recovery_codes: Final = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", String(64), primary_key=True),
    **KEYLESS,
)
"""One row per code that was not used."""

passkeys: Final = Table(
    "passkeys",
    metadata,
    Column("id", String(43), primary_key=True),
    Column(
        "user_id",
        Id,
        ForeignKey("users.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("may_be_backed_up", Boolean, nullable=False),
    Column("is_backed_up", Boolean, nullable=False),
    Column("name", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    **KEYLESS,
)
"""``id`` is made of the credential id, which is too long for an index."""

spent_challenges: Final = Table(
    "spent_challenges",
    metadata,
    Column("digest", String(43), primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
    **KEYLESS,
)
"""Challenges that served once. Nothing is stored of the others."""
