"""Web parts: Flask under gunicorn behind an event loop, with limits, allowed hosts and tokens."""
