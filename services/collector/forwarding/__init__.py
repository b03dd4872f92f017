"""Forwarding: records go to the log, over Redis or HTTP, through a spool on disk while neither takes them."""
