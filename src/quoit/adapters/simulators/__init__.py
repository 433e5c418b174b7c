"""Simulators of others, each in a process of its own with an interpreter and an environment of its own."""
