//! Values that a caller hands to a database: the parameters of a query, and the cuts between
//! partitions.

/// Value that is bound to a parameter, or written as a literal in the database's SQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL
    Null,
    /// A truth value.
    Boolean(bool),
    /// An integer of 64 bits.
    Integer(i64),
    /// An exact number with all its digits, such as `-12.50`.
    Decimal(String),
    /// A floating-point number.
    Float(f64),
    /// Text, or whatever the database prints and reads as text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date, time or both, as ISO 8601 writes it.
    Temporal(String),
    /// A duration.
    Duration {
        /// Length in microseconds.
        microseconds: i64,
    },
    /// An array of values.
    List(Vec<Value>),
}

/// The values for a query's parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameters {
    /// Values in the order of the parameters' numbers.
    Positional(Vec<Value>),
    /// Values by the parameters' names.
    Named(Vec<(String, Value)>),
}

impl Default for Parameters {
    fn default() -> Self {
        Self::Positional(Vec::new())
    }
}
