"""How Alembic runs here: on a connection that `storage.schema` opened."""

from alembic import context

import identity_service.storage.upgrades.resumable_ddl  # noqa: F401 - Alembic finds it there
from identity_service.storage.tables import metadata
from identity_service.storage.upgrades.schema import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
