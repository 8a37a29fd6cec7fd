"""Progress, profile and interruption of a call while it runs."""
