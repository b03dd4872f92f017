"""The wire: records, alerts, jobs and stream names. Pure: no I/O, no clock."""
