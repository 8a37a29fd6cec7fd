"""Names, types, predicates and SQL texts: the modules that use no other part of the package."""
