"""quoit: a digital twin of the Quantum Internet and its control stack."""
