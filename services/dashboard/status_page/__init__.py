"""What others may see: the public status page and the badges."""
