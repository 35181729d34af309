"""First-party observers of a run, as a plugin like any other."""
