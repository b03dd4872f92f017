"""Outgoing HTTP: timed phases, total deadlines, bounded responses, no secrets in errors.

`dial` opens connections, `client` sends requests, `responses` reads what comes back, `urls` takes URLs apart.
"""
