"""The data sources that come with zoo."""
