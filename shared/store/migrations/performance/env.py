"""Run the revisions of the performance database on the connection that `shared.store.migrate` opened."""

from alembic import context

from shared.store.tables import performance_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=performance_metadata,
    render_as_batch=True,
)
context.run_migrations()
