"""The messages of the Service stratum, a module a subject. Others enter by `quoit.service.api`."""
