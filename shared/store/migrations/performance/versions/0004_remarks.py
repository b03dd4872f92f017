"""What computed records say of undefined figures is stored once, not in each row: it seldom changes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = ("undefinedId", "lowConfidenceId")


def upgrade() -> None:
    op.create_table(
        "performance_remarks",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("text", sa.Text(), nullable=False, unique=True),
        sa.Column("lastUsed", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    for name in COLUMNS:
        op.add_column("performance_metrics", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    for name, by_id in (("undefined", "undefinedId"), ("lowConfidence", "lowConfidenceId")):
        text = f'SELECT text FROM performance_remarks WHERE id = "{by_id}"'  # noqa: S608
        op.execute(
            f'UPDATE performance_metrics SET "{name}" = ({text}) WHERE "{by_id}" IS NOT NULL'  # noqa: S608
        )
        op.drop_column("performance_metrics", by_id)
    op.drop_table("performance_remarks")
