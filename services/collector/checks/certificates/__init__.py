"""Certificate checks: of TLS servers and of PEM files."""
