"""First-party acquisition strategies, as a plugin like any other."""
