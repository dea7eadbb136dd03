"""Users are found by the words of their names and addresses.

The version before goes on working: users that it adds get their words from this one's
housekeeping. Filling the table may be interrupted and goes on with those without words.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from identity_service.domain.accounts.search import search_words
from identity_service.storage.migrations.columns import ID, KEYLESS

revision = "0005"
down_revision = "0004"

BATCH: Final = 1000


def upgrade() -> None:
    op.create_table(
        "user_search_words",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("word", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "word"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_user_search_words_user_id_users",
            ondelete="CASCADE",
        ),
        **KEYLESS,
    )
    op.create_index(
        "ix_user_search_words_word", "user_search_words", ["word", "user_id"]
    )
    _fill()


def _fill() -> None:
    users = sa.table("users", *map(sa.column, ("id", "username", "email")))
    words = sa.table("user_search_words", sa.column("user_id"), sa.column("word"))
    connection = op.get_bind()
    is_new = ~sa.exists().where(words.c.user_id == users.c.id)
    last_id = 0
    while True:
        batch = sa.select(users).where(users.c.id > last_id, is_new)
        rows = connection.execute(batch.order_by(users.c.id).limit(BATCH)).all()
        if not rows:
            return
        last_id = rows[-1].id
        connection.execute(
            sa.insert(words),
            [
                {"user_id": row.id, "word": word}
                for row in rows
                for word in sorted(search_words(row.username, row.email))
            ],
        )
