"""Metrics, logs and reports for the outside."""
