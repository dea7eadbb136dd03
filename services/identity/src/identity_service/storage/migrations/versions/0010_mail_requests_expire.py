"""Mail that was asked for is found by its age.

Version 0009 goes on working.
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("ix_mail_requests_created_at", "mail_requests", ["created_at"])
