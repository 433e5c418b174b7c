"""How fast this machine runs the twin, as ratios against something run beside it."""
