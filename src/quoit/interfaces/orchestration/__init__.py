"""The orchestrator's RESTCONF interface: module quoit-orchestration, shaped after ETSI GS QKD 018."""
