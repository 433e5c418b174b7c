"""Intents in the shape of TM Forum's TMF921 (Intent Management), with expressions of quoit's own."""
