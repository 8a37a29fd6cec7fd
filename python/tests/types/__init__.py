"""What each type of a database becomes, value by value."""
