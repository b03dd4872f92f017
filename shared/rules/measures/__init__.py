"""Measures of rules, one module per kind. Pure: values in, one value out, time as an argument."""
