"""What a query reads, by every way to read it."""
