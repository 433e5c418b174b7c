"""Runs of NetQASM applications in virtual time, over the ledger of quantum states."""
