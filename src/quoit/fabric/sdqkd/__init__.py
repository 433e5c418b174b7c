"""ETSI GS QKD 015 inside the fabric: its data tree as values, and what an agent and a controller make of it."""
