"""Rules: what they measure, when they fire, and what a rule test says. Pure; time is an argument."""
