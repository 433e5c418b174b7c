"""The campaign: breaks the key service on purpose, many times, and looks whether its promises hold.

`swarm` plays seeded scenarios in virtual time, with all faults that need no process; `processes` breaks real ones.
`python -m quoit.testing.campaign` runs both and writes `campaign.json`.
"""
