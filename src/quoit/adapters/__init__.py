"""One folder a foreign thing."""
