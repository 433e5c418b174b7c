"""The Connectivity stratum: fibres, paths and their upkeep."""
