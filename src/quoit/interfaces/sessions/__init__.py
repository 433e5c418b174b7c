"""quoit's own interface to key sessions: keys of an agreed rate, priority and trust."""
