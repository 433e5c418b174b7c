"""Values everybody shares; imports nothing of ours."""
