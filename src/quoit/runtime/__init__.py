"""The same elements on two clocks."""
