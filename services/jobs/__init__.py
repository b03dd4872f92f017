"""Jobs: background work of seconds to minutes, run by RQ on a schedule."""
