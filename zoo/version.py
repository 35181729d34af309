"""The version of zoo, in the one place that packaging and the program read."""

__version__ = "0.1.0"
