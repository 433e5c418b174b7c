"""Compilers: from a demand for entangled pairs over a path to the program that its devices run."""
