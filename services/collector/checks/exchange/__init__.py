"""Exchange checks: REST, WebSocket, server time and status pages."""
