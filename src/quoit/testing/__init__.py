"""Public test kit: conformance suites, formula registry, checkers."""
