"""Where key streams are kept."""
