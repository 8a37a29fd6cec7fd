//! The operators by which PostgreSQL orders the values of a type.

/// The operators of a type's default B-tree operator class, by which `ORDER BY` sorts its values.
///
/// The operators are written with their schema. The server would look a bare `<` up in its search
/// path, and might find a user's operator, or the operator of another type that the values can be
/// cast to. Cuts compared by such an operator would not fit the sample's order, and rows would be
/// read twice or never.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// Type that values are cast to before they are compared, if any: for example, the base type of
    /// a domain.
    pub(crate) of_type: Option<String>,
    /// `<`, with its schema.
    pub(crate) less: String,
    /// `>=`, with its schema.
    pub(crate) at_least: String,
}

impl Order {
    /// Returns the operators of the built-in types.
    pub(crate) fn built_in() -> Self {
        Self {
            of_type: None,
            less: in_catalog("<"),
            at_least: in_catalog(">="),
        }
    }

    /// Casts an expression to the type of the operators, if it has another one.
    pub(crate) fn of(&self, value: &str) -> String {
        match &self.of_type {
            Some(of_type) => format!("{value}::{of_type}"),
            None => value.to_owned(),
        }
    }
}

/// Writes an operator of the built-in types, independent of the search path.
pub(crate) fn in_catalog(sign: &str) -> String {
    format!("OPERATOR(pg_catalog.{sign})")
}

/// Writes the name of a built-in type, or of an array of one, independent of the search path.
pub(crate) fn type_in_catalog(name: &str) -> String {
    format!("pg_catalog.{name}")
}
