"""Exchangeable simulators: one port, a suite of small scenarios, and what their results have in common."""
