"""First-party architectures, as a plugin like any other."""
