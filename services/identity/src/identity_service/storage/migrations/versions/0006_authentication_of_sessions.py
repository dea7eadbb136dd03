"""A session says how and when its user proved who they are.

Version 0005 goes on working: it leaves the new columns null, which reads as by the
password, when the session was made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("authenticated_at", sa.BigInteger()))
    op.add_column("sessions", sa.Column("methods", sa.String(32)))
