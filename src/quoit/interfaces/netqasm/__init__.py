"""NetQASM: programs of the PyPI package `netqasm` run against quoit as their quantum node controller."""
