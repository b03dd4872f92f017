"""Evaluator: judges every record against the rules and opens or resolves alerts."""
