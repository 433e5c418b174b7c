"""A search for secrets where none may be: outputs, logs, failures, files, command lines (docs/leaks.md)."""
