"""What is seen of a call while it runs, and what ends it."""
