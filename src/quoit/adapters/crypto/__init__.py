"""Certificates and sealing keys."""
