"""The compiled fast path: fabric programs run here, pairs by the million, and elements hear of outcomes."""
