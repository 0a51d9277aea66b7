"""A diagnosis as JSON, table, text and exit code. Pure."""
