"""The network file and its assembly; the only place that knows every class."""
