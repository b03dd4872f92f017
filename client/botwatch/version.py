"""The version of the client; equal to the server's, `shared.version`."""

VERSION = "0.2.0"
