"""Pairs on request: the link service between neighbours, and the network service over virtual circuits."""
