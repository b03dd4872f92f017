"""Alertmanager's API v2, for Prometheus, amtool, Grafana and Karma."""
