"""Attack files: who does what to a network, what must be noticed and by when, and the truth it is judged by."""
