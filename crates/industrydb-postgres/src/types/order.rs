//! The operators by which PostgreSQL puts the values of a type in order.

/// The operators of a type's default B-tree operator class, by which `ORDER BY` sorts its values.
///
/// The server looks a bare `<` up in its search path, where it finds the operator of another type
/// that the values can be cast to, or one of the user's: cuts by that would not be where the sample
/// says, and rows would come twice or never.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// The type whose operators they are, where values are to be cast to it: the base type of a
    /// domain, for one.
    pub(crate) of_type: Option<String>,
    /// `<`, with its schema.
    pub(crate) less: String,
    /// `>=`, with its schema.
    pub(crate) at_least: String,
}

impl Order {
    /// The operators of the types that PostgreSQL comes with.
    pub(crate) fn built_in() -> Self {
        Self {
            of_type: None,
            less: in_catalog("<"),
            at_least: in_catalog(">="),
        }
    }

    /// An expression as a value of the type whose operators they are.
    pub(crate) fn of(&self, value: &str) -> String {
        match &self.of_type {
            Some(of_type) => format!("{value}::{of_type}"),
            None => value.to_owned(),
        }
    }
}

/// An operator of the types that PostgreSQL comes with, whatever the search path is.
pub(crate) fn in_catalog(sign: &str) -> String {
    format!("OPERATOR(pg_catalog.{sign})")
}

/// The name of a type that PostgreSQL comes with, or of an array of one, whatever the search path
/// is.
pub(crate) fn type_in_catalog(name: &str) -> String {
    format!("pg_catalog.{name}")
}
