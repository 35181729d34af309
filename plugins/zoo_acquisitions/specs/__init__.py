"""What this plugin announces and the parameters that it takes, by kind of strategy; nothing here imports torch."""
