"""Real consumers of keys: small agents that take keys from a KME and give them to a tunnel's two ends, in turn.

An agent runs beside each end. The initiator's opens a key, tells its name to the responder's, who takes it; both
install it. Only names cross between the agents, and a name is of no use to anybody but the two applications.
"""
