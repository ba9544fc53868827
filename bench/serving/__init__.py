"""One server from its start to its end, and what can be asked of it without measuring."""
