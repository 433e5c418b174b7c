"""Closed loops that read one stratum and act in another (G2). The mechanism is `quoit.planes.loop`.

They stand above the strata because each of them needs two: what the fabric counts and what the plant can do, or what
is left in a pool and which switch could change that. None knows more than the strata's doors tell. A loop watches one
thing (a link, a shared device), so that one link's rest after an action holds up no other link.
"""
