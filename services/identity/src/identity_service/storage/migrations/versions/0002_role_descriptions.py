"""Roles are described. Version 0001 goes on working: it reads no description."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

DESCRIPTIONS = {
    "user": "Everybody who signs up",
    "moderator": "Reads what is for moderators",
    "admin": "Administers users, roles and sessions",
}


def upgrade() -> None:
    op.add_column(
        "roles",
        sa.Column("description", sa.String(200), server_default="", nullable=False),
    )
    roles = sa.table("roles", sa.column("name"), sa.column("description"))
    for name, description in DESCRIPTIONS.items():
        op.execute(
            roles.update().where(roles.c.name == name).values(description=description)
        )
