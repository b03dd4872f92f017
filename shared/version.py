"""The version of Botwatch: of the server's distribution, which reads it here, and of what runs from a copy.

The client's distribution has its own copy, `botwatch.version`; a contract test keeps the two equal.
"""

VERSION = "0.2.0"
