"""`botwatch replay`: folds a past from files, offline, and prints its metrics."""
