"""Above the strata: one view of what their controllers know, intents, and nodes that join."""
