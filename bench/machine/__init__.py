"""What this machine is, and what it reaches at most."""
