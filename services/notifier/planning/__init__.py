"""Planning: who is notified of an alert, when, along which route, and by which escalation policy."""
