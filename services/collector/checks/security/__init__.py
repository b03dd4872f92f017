"""Security checks: failed logins, sudo, listening ports, file integrity, secret files."""
