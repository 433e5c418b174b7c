"""Quantum states in three formalisms: Bell-diagonal pairs, density matrices of few qubits, stabilizer tableaus."""
