"""Names, parameters and facts of the optimizers, family by family; nothing here imports torch."""
