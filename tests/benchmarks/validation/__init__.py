"""Does the gate cry wolf, and does it see what is there? Real sessions of known truth through all of `bench ab`."""
