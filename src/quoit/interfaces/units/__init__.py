"""The unit API: service units by URN over HTTP/JSON."""
