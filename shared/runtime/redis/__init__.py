"""Redis: connection, access rules, the record log and its readers, latest values, leases, presence."""
