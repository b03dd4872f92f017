"""Rules, one module per kind of measure. Pure: values in, verdicts out, time as an argument."""
