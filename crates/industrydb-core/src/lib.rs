//! What is true for every database that industrydb reads.
//!
//! One row's way through the house:
//!
//! 1. [`config`] takes a URI apart into a [`DatabaseConfig`], its secrets masked.
//! 2. A [`connector::DatabaseConnector`] **describes** the query: the names of its columns, and the
//!    [`types::ColumnType`] that its type table picked for each, before the first row.
//! 3. The [`planner`] cuts it into partitions that are open at both ends, as even as a sample of the keys
//!    can tell.
//! 4. The [`executor`] runs one blocking cursor per partition on a pool of its own.
//! 5. Each cursor writes its cells straight into the column [`builders`].
//! 6. What a partition has read leaves as a [`chunk::Chunk`]; [`mod@widen`] brings columns that came
//!    out differently in different partitions to one type without losing anything.
//! 7. [`chunk::stack`] puts the chunks under one another, in partition order and without a copy.
//!
//! A [`Stream`] hands the chunks over while they are read, as batches of one schema, through bounded channels. A [`mod@narrow`]ed
//! query has only the columns and rows that a caller needs. What a worker's rows go into is an [`Output`], beside
//! which a [`Meter`] tells others how far it has come.
//!
//! A [`Connection`] is a session that the caller keeps; the [`statements`] on a table are made of its names and values,
//! and a [`Frame`] takes the opposite way: from the frame's memory, a value at a time, into a table.
//!
//! Nothing here knows a database: quoting, limits, casts and predicates live in the connector
//! crates, and adding a database is one crate and one line in the list of databases.

pub mod allocator;
pub mod builders;
pub mod chunk;
pub mod clock;
pub mod config;
pub mod connection;
pub mod connector;
pub mod convert;
mod dialect;
pub mod error;
pub mod executor;
pub mod frame;
pub mod idle;
pub mod narrow;
pub mod output;
pub mod planner;
pub mod query;
pub mod retry;
mod settle;
pub mod statements;
pub mod stop;
pub mod stream;
pub mod temporal;
pub mod types;
pub mod value;
pub mod widen;

pub use chunk::{Chunk, ChunkColumn};
pub use config::{DatabaseConfig, Secret};
pub use connection::{Answer, Connection};
pub use connector::{DatabaseConnector, DescribedQuery, Field, Request};
pub use error::{CellError, CellResult, Error, Result};
pub use frame::{Frame, OnConflict};
pub use idle::Idle;
pub use narrow::Narrowing;
pub use output::{Meter, Meters, Output, Phase};
pub use planner::{Plan, Sample, Split, Target};
pub use stop::Stop;
pub use stream::Stream;
pub use types::ColumnType;
pub use value::{Parameters, Value};
