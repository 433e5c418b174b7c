"""ONF TAPI 2.4.0 over RESTCONF: an optical network's context, topology, connectivity services and paths."""
