"""What a formalism says when it cannot hold a state or an operation exactly."""

from __future__ import annotations


class Unsupported(ValueError):
    """The operation is lawful physics, but this formalism has no exact form of it. Nothing has been changed."""
