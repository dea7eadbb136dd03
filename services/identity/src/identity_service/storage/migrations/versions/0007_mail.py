"""Mail waits in an outbox; what travels in it once is kept hashed; accounts may leave.

The version before goes on working: it knows nothing of the new tables, and leaves the
new columns null.
"""

import sqlalchemy as sa
from alembic import op

from identity_service.storage.migrations.columns import ID, KEYLESS, MOMENT, OPTIONS

revision = "0007"
down_revision = "0006"

RANDOM_ID = sa.String(32)
EMAIL = sa.String(254)


def upgrade() -> None:
    op.add_column("users", sa.Column("email_verified_at", MOMENT))
    op.add_column("users", sa.Column("deletion_due_at", MOMENT))
    op.create_index("ix_users_deletion_due_at", "users", ["deletion_due_at"])
    _create_outbox()
    _create_mail_requests()
    _create_one_time_tokens()
    _create_pending_sign_ups()


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", RANDOM_ID, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("user_id", ID),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT),
        sa.Column("dead_at", MOMENT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **KEYLESS,
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    op.create_index("ix_outbox_dead_at", "outbox", ["dead_at"])
    op.create_index("ix_outbox_user_id", "outbox", ["user_id"])


def _create_mail_requests() -> None:
    op.create_table(
        "mail_requests",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("email_key", EMAIL, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )


def _create_one_time_tokens() -> None:
    op.create_table(
        "one_time_tokens",
        sa.Column("id", RANDOM_ID, nullable=False),
        sa.Column("purpose", sa.String(24), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("email", EMAIL, nullable=False),
        sa.Column("email_key", EMAIL, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **KEYLESS,
    )
    op.create_index("ix_one_time_tokens_user_id", "one_time_tokens", ["user_id"])
    op.create_index("ix_one_time_tokens_expires_at", "one_time_tokens", ["expires_at"])


def _create_pending_sign_ups() -> None:
    op.create_table(
        "pending_sign_ups",
        sa.Column("id", RANDOM_ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("username_key", sa.String(191), nullable=False),
        sa.Column("email", EMAIL, nullable=False),
        sa.Column("email_key", EMAIL, nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **KEYLESS,
    )
    op.create_index(
        "uq_pending_sign_ups_username_key",
        "pending_sign_ups",
        ["username_key"],
        unique=True,
    )
    op.create_index("ix_pending_sign_ups_email_key", "pending_sign_ups", ["email_key"])
    op.create_index(
        "ix_pending_sign_ups_expires_at", "pending_sign_ups", ["expires_at"]
    )
