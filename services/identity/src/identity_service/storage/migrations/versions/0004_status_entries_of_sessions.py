"""A session carries the status entry that its tokens name; users get a random name.

Version 0003 goes on working: it leaves the new columns null, and for a day this version
issues only tokens that it accepts.
"""

import time
from typing import Final

import sqlalchemy as sa
from alembic import op

from identity_service.storage.migrations.columns import ID, KEYLESS, MOMENT

revision = "0004"
down_revision = "0003"

LIST_NAME = sa.String(22)

ROLLOUT: Final = 24 * 3600 * 1_000_000
"""Microseconds: how long replicas of version 0003 may run beside this one."""

FOREIGN_KEY = "fk_sessions_user_id_users"


def upgrade() -> None:
    op.add_column("users", sa.Column("subject", sa.String(22)))
    op.create_index("uq_users_subject", "users", ["subject"], unique=True)
    op.add_column("status_lists", sa.Column("name", LIST_NAME))
    op.create_index("uq_status_lists_name", "status_lists", ["name"], unique=True)
    _create_tables()
    _extend_sessions()
    _begin_rollout()


def _create_tables() -> None:
    op.create_table(
        "revoked_entries",
        sa.Column("status_list", LIST_NAME, nullable=False),
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("status_list", "idx"),
        **KEYLESS,
    )
    op.create_index("ix_revoked_entries_until", "revoked_entries", ["until"])
    op.create_table(
        "deleted_users",
        sa.Column("user_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        **KEYLESS,
    )
    op.create_table(
        "rollouts",
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("version"),
        **KEYLESS,
    )


def _extend_sessions() -> None:
    op.add_column("sessions", sa.Column("status_list", LIST_NAME))
    op.add_column("sessions", sa.Column("status_idx", sa.Integer()))
    op.add_column("sessions", sa.Column("token_expires_at", MOMENT))
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("sessions") as table:
            table.drop_constraint(FOREIGN_KEY, type_="foreignkey")
    else:
        op.drop_constraint(FOREIGN_KEY, "sessions", type_="foreignkey")
    op.create_index(
        "ix_sessions_user_id_live",
        "sessions",
        ["user_id", "ended_at", "idle_expires_at"],
    )
    op.create_index("ix_sessions_user_id_address", "sessions", ["user_id", "address"])
    op.create_index(
        "uq_sessions_status", "sessions", ["status_list", "status_idx"], unique=True
    )
    op.drop_index("ix_sessions_user_id", "sessions")


def _begin_rollout() -> None:
    """Where there are users, somebody may serve them with version 0003 now."""
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT 1 FROM users LIMIT 1")) is None:
        return
    if connection.scalar(sa.text("SELECT 1 FROM rollouts LIMIT 1")) is not None:
        return
    ends_at = time.time_ns() // 1000 + ROLLOUT
    connection.execute(
        sa.text("INSERT INTO rollouts VALUES (:version, :ends_at)"),
        {"version": revision, "ends_at": ends_at},
    )
