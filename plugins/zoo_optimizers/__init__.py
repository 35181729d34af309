"""First-party optimizers, as a plugin like any other."""
