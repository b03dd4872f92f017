"""Rule tests: series of values played through the rules, and the alerts that they must open."""
