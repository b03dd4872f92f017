"""What every part needs to run: settings, config documents, logging, health, Redis, the log, the clock."""
