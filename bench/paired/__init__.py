"""`bench ab`: two sides, measured in pairs; what the pairs say is `compare`'s."""
