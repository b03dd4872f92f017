"""Broadcaster: sends every record and alert to WebSocket clients, without gaps."""
