//! How a query is to be split, and the parts that come of it.

use crate::schema::value::Value;

/// The most partitions of one read.
pub const MAX_PARTITIONS: usize = 4096;

/// How a query is to be split.
#[derive(Debug, Clone)]
pub struct Split {
    /// The name of the key column in the query's result. Without one, the rows of the query's one
    /// table are split by where they are stored.
    pub column: Option<String>,
    /// How many partitions to make, from 1 to [`MAX_PARTITIONS`].
    pub partitions: usize,
    /// Where to cut, in ascending order; asked from the database if not given.
    pub cuts: Option<Vec<Value>>,
}

/// What the cuts divide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The values of the result's column at this index.
    Column(usize),
    /// The rows of the query's one table, by where they are stored.
    Rows,
}

/// Keys of some of the rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Distinct keys in the database's own order, each with the number of rows that it stands for;
    /// NULL comes first.
    pub keys: Vec<(Value, f64)>,
}

/// A part of a query's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// The number of its query in the request, from 0.
    pub number: usize,
    /// The query for its rows.
    pub query: String,
    /// Which rows of the request's query they are, if not all.
    pub cut: Option<Cut>,
    /// How many they are by the sample.
    pub estimated_rows: Option<f64>,
}

/// A range of a target's values: `lower <= value`, and `value < upper`. Without a lower bound,
/// NULLs are in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// What has the values.
    pub target: Target,
    /// The smallest value.
    pub lower: Option<Value>,
    /// What all values are below.
    pub upper: Option<Value>,
}

/// The partitions of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In the order of the result's rows.
    pub partitions: Vec<Partition>,
    /// What the caller should know of them.
    pub note: Option<String>,
}

impl Partition {
    /// All rows of a query.
    pub fn whole(number: usize, query: &str) -> Self {
        Self {
            number,
            cut: None,
            query: query.to_owned(),
            estimated_rows: None,
        }
    }
}
