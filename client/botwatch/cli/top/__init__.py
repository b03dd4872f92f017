"""The live dashboard on the terminal: `model` and `screen` are pure, `poller` and `terminal` do the I/O."""
