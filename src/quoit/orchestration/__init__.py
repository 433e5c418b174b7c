"""Across the strata: what sees and steers them together, intents, nodes that join, and closed loops."""
