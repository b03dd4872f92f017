"""Broadcaster: sends every record and alert to everyone who listens on the WebSocket, without a gap."""
