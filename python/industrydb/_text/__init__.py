"""Names, types, predicates and texts: what needs nothing else of the package."""
