"""Users may have second factors: authenticator apps, recovery codes, passkeys.

Version 0007 goes on working, and asks nobody for them: let it end before users enrol.
"""

import sqlalchemy as sa
from alembic import op

from identity_service.storage.migrations.columns import ID, KEYLESS, MOMENT

revision = "0008"
down_revision = "0007"

DIGEST = sa.String(43)


def upgrade() -> None:
    _create_totp_secrets()
    _create_recovery_codes()
    _create_passkeys()
    op.create_table(
        "spent_challenges",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        **KEYLESS,
    )
    op.create_index(
        "ix_spent_challenges_expires_at", "spent_challenges", ["expires_at"]
    )


def _create_totp_secrets() -> None:
    op.create_table(
        "totp_secrets",
        sa.Column("user_id", ID, autoincrement=False, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.PrimaryKeyConstraint("user_id"),
        _of_user("totp_secrets"),
        **KEYLESS,
    )


def _create_recovery_codes() -> None:
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "code_hash"),
        _of_user("recovery_codes"),
        **KEYLESS,
    )


def _create_passkeys() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", DIGEST, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("may_be_backed_up", sa.Boolean(), nullable=False),
        sa.Column("is_backed_up", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT),
        sa.PrimaryKeyConstraint("id"),
        _of_user("passkeys"),
        **KEYLESS,
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id"], ["users.id"], name=f"fk_{table}_user_id_users", ondelete="CASCADE"
    )
