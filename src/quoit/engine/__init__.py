"""The synthetic environment (draft 5.5): the only room that knows the state of the world."""
