"""`botwatch up`: every part on this machine under supervisor, with an embedded Valkey."""
