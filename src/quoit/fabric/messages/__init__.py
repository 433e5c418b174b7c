"""The messages of the Fabric stratum, a module a subject. Others enter by `quoit.fabric.api`."""
