"""What the world does to light: samplers of detection counts, one per link protocol."""
