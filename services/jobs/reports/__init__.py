"""Reports: read from the databases, built as one struct, and rendered as JSON, HTML and PDF."""
