"""Rule tests: series of values in, expected alerts out."""
