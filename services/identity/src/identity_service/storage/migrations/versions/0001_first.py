"""The first tables, and the three roles."""

import sqlalchemy as sa
from alembic import op

from identity_service.storage.migrations.columns import ID, KEYLESS, MOMENT, OPTIONS

revision = "0001"
down_revision = None


NO_HASH = "0" * 64


def upgrade() -> None:
    _create_accounts()
    _create_sessions()
    _create_keys()
    _create_audit()


def _create_accounts() -> None:
    op.create_table(
        "users",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("username_key", sa.String(191), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("password_is_temporary", sa.Boolean(), nullable=False),
        sa.Column("password_changed_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("username_key", name="uq_users_username_key"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
        **OPTIONS,
    )
    roles = op.create_table(
        "roles",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_roles_name"),
        **KEYLESS,
    )
    op.bulk_insert(
        roles,
        [
            {"id": 1, "name": "user"},
            {"id": 2, "name": "moderator"},
            {"id": 3, "name": "admin"},
        ],
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "role_id"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_user_roles_user_id_users",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name="fk_user_roles_role_id_roles"
        ),
        **KEYLESS,
    )
    op.create_index("ix_user_roles_role_id", "user_roles", ["role_id"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(255), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("rotated_at", MOMENT, nullable=False),
        sa.Column("idle_expires_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("end_reason", sa.String(32)),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_sessions_user_id_users",
            ondelete="CASCADE",
        ),
        **KEYLESS,
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "access_tokens",
        sa.Column("list_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("list_id", "idx"),
        **KEYLESS,
    )
    for column in ("user_id", "session_id", "expires_at"):
        op.create_index(f"ix_access_tokens_{column}", "access_tokens", [column])
    op.create_index(
        "ix_access_tokens_list_id_revoked_at",
        "access_tokens",
        ["list_id", "revoked_at"],
    )


def _create_keys() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(43), nullable=False),
        sa.Column("slot", sa.String(8)),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary()),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Column("activated_at", MOMENT),
        sa.Column("retired_at", MOMENT),
        sa.Column("expires_at", MOMENT),
        sa.PrimaryKeyConstraint("kid"),
        sa.UniqueConstraint("slot", name="uq_signing_keys_slot"),
        **KEYLESS,
    )
    op.create_table(
        "status_lists",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("leased", sa.Integer(), nullable=False),
        sa.Column("permutation_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **KEYLESS,
    )


def _create_audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("actor_id", ID),
        sa.Column("subject_id", ID),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **KEYLESS,
    )
    for column in ("at", "action", "actor_id", "subject_id"):
        op.create_index(f"ix_audit_events_{column}", "audit_events", [column])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_event_id", ID, nullable=False),
        sa.Column("last_hash", sa.String(64), nullable=False),
        sa.Column("first_previous_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **KEYLESS,
    )
    op.bulk_insert(
        head,
        [
            {
                "id": 1,
                "last_event_id": 0,
                "last_hash": NO_HASH,
                "first_previous_hash": NO_HASH,
            }
        ],
    )
