"""The dtype and the values that each database type is read as."""
