"""The audit log: its command, its maintenance, and shipping it to other machines."""
