"""Every row exactly once, of one moment, however the rows are divided."""
