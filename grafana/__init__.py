"""Grafana's dashboards as code: a module per dashboard, built with Grafana's own SDK."""
