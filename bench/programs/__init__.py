"""Programs that servers need, from where they come: Debian packages, Docker images, Python environments."""
