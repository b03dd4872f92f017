"""Run the revisions of the health database on the connection that `shared.store.migrate` opened."""

from alembic import context

from shared.store.tables import health_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=health_metadata,
    render_as_batch=True,
)
context.run_migrations()
