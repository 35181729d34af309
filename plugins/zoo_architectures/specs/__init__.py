"""Names, parameters and facts of the architectures, by family; nothing here imports torch."""
