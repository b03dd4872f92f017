"""Rules, one module per kind. Pure: values in, verdicts out, time as an argument."""
