"""The model on disk: its file, its signature, what servers need of it, its right answers; kept by content."""
