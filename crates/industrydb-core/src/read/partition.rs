//! How a query is split, and the partitions that result.

use crate::schema::value::Value;

/// Largest number of partitions of one read.
pub const MAX_PARTITIONS: usize = 4096;

/// How a query is to be split into partitions.
#[derive(Debug, Clone)]
pub struct Split {
    /// Name of the key column in the query's result; `None` to split the rows of the query's only
    /// table by their storage location.
    pub column: Option<String>,
    /// Number of partitions to make, from 1 to [`MAX_PARTITIONS`].
    pub partitions: usize,
    /// Keys at which to cut, in ascending order; `None` to place the cuts by a sample from the
    /// database.
    pub cuts: Option<Vec<Value>>,
}

/// What the cuts divide: the values of a column, or the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The values of the result's column at this index.
    Column(usize),
    /// The rows of the query's only table, by their storage location.
    Rows,
}

/// Keys of a sample of the rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Distinct keys in the database's own order, each with the number of rows that it stands for;
    /// NULL comes first.
    pub keys: Vec<(Value, f64)>,
}

impl Sample {
    /// Returns how many keys to sample to place the cuts of so many partitions well. With 10,000
    /// keys, the size of a partition of one eighth of the rows is known to within a fortieth.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(industrydb_core::Sample::size(8), 10_000);
    /// ```
    pub fn size(partitions: usize) -> usize {
        10_000.max(20 * partitions)
    }
}

/// Rows of a query that one cursor reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// Number, from 0, of the partition's query in the request.
    pub number: usize,
    /// Query for the partition's rows.
    pub query: String,
    /// Range of the request's query that the partition holds; `None` for all rows.
    pub cut: Option<Cut>,
    /// Row count estimated from the sample; `None` if not sampled.
    pub estimated_rows: Option<f64>,
}

/// Range of a target's values: `lower <= value` and `value < upper`. A range without a lower bound
/// includes NULLs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Target that has the values.
    pub target: Target,
    /// Inclusive lower bound; `None` if there is none.
    pub lower: Option<Value>,
    /// Exclusive upper bound; `None` if there is none.
    pub upper: Option<Value>,
}

/// Partitions of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Partitions, in the order of the result's rows.
    pub partitions: Vec<Partition>,
    /// Note for the caller, such as the reason why the query is not split.
    pub note: Option<String>,
}

impl Partition {
    /// Creates the partition of all rows of a query.
    pub fn whole(number: usize, query: &str) -> Self {
        Self {
            number,
            cut: None,
            query: query.to_owned(),
            estimated_rows: None,
        }
    }
}
