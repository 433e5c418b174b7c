"""The Quantum Fabric stratum: modules, pools of link keys, relay and their control."""
