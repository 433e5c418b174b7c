"""Certificates of a hosted twin's doors and applications: revoked, renewed."""

from __future__ import annotations

from datetime import datetime

import structlog

from quoit.scenario.doors import Doors

_log = structlog.get_logger("quoit", element="host")
CHECK_S = 1.0
"""How soon `quoit pki --revoke` beside a running twin ends live connections, at the latest."""


def look_after(doors: Doors, now: datetime) -> None:
    """Follow revocations, renew at two thirds of a certificate's life. Connections go on, new ones see the new leaf;
    those of a revoked certificate are cut. Raises OSError, ValueError, PkiError."""
    _follow_revocations(doors)
    _renew_due(doors, now)


def _follow_revocations(doors: Doors) -> None:
    authority = doors.authority
    revoked = authority.follow()
    if not revoked:
        return
    for door in doors.all():
        if door.context is None:  # plain HTTP
            continue
        authority.refresh_crl(door.context)
        cut = door.listener.drop(lambda peer: peer.serial in revoked)
        _log.warning("certificate.revoked", kme=door.kme, serials=len(revoked), connections_cut=cut)
    if doors.programs is not None:
        doors.programs.drop(lambda peer: peer.serial in revoked)


def _renew_due(doors: Doors, now: datetime) -> None:
    authority = doors.authority
    everything = authority.domain_due
    if everything:
        authority.renew_domain()
        _log.info("certificates.domain_renewed")
    crl = everything or authority.crl_due
    if crl and not everything:
        authority.sign_crl()
    for door in doors.all():
        if door.context is None:
            continue
        if everything or door.leaf.due(now):
            door.leaf = authority.renew(door.leaf)
            door.context.load_cert_chain(door.leaf.chain, door.leaf.key)
        if crl:
            authority.refresh_crl(door.context)
    for sae, leaf in doors.apps.items():
        if everything or leaf.due(now):
            doors.apps[sae] = authority.renew(leaf)
    if doors.agents is not None:
        doors.agents.renew_due(now, everything)
    for role, leaf in doors.roles.items():
        if everything or leaf.due(now):
            doors.roles[role] = authority.renew(leaf)
