"""Across the strata: what sees and steers them together, intents, and nodes that join."""
