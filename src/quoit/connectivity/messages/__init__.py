"""The messages of the Connectivity stratum, a module a subject. Others enter by `quoit.connectivity.api`."""
