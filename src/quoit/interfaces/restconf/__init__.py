"""RESTCONF (RFC 8040): a server whose core turns requests into responses without sockets, and a client."""
