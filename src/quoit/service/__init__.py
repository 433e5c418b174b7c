"""The Service stratum: key management entities, sessions, admission, routing."""
