"""Facts in, one verdict out. Pure."""
