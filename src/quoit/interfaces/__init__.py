"""Northbound interfaces, one folder a standard."""
