"""Who may log in, what is encrypted, and what nobody may see."""
