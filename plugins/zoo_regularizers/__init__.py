"""First-party regularizers, as a plugin like any other."""
