"""Across the strata: what sees and steers them together."""
