"""Closed forms of quantum links, detectors and post-processing."""
