"""Carriers of messages between processes."""
