//! What is true for every database that industrydb reads.
//!
//! One row's way through the house:
//!
//! 1. [`config`] takes a URI apart into a [`DatabaseConfig`], its secrets masked.
//! 2. A [`connector::DatabaseConnector`] **describes** the query: the names of its columns, and the
//!    [`ColumnType`] that its type table picked for each, before the first row.
//! 3. The [`planner`] cuts it into partitions that are open at both ends, as even as a sample of
//!    the keys can tell.
//! 4. The [`executor`] runs one blocking cursor per partition on a pool of its own.
//! 5. Each cursor writes its cells straight into the column [`builders`].
//! 6. What a partition has read leaves as a [`chunk::Chunk`]; [`mod@widen`] brings columns that
//!    came out differently in different partitions to one type without losing anything.
//! 7. [`stack::stack`] puts the chunks under one another, in partition order and without a copy.
//!
//! A [`Stream`] hands the chunks over while they are read, as batches of one schema, through
//! bounded channels. A [`mod@narrow`]ed query has only the columns and rows that a caller needs.
//! What a worker's rows go into is an [`Output`], beside which a [`Meter`] tells others how far it
//! has come.
//!
//! A [`Connection`] is a session that the caller keeps; the [`statements`] on a table are made of
//! its names and values, and a [`Frame`] takes the opposite way: from the frame's memory, a value
//! at a time, into a table.
//!
//! What others have written is made [`printable`] before a message shows it.
//!
//! Nothing here knows a database: quoting, limits, casts and predicates live in the connector
//! crates, and adding a database is one crate and one line in the list of databases.

#![deny(unsafe_code)]

mod base;
mod data;
mod read;
mod schema;
mod session;
mod sql;
mod write;

pub use base::{allocator, config, error, printable, retry, stop, suggest};
pub use data::{builders, chunk, convert, scalar, stack, widen};
pub use read::{
    connector, executor, idle, meter, output, partition, planner, request, stream, workers,
};
pub use schema::{calendar, column_type, field, iso, value};
pub use session::{connection, kept};
pub use sql::{clock, dialect, narrow, shape, statements, tokens};
pub use write::frame;

pub use base::secret::Secret;
pub use chunk::{Chunk, ChunkColumn};
pub use column_type::ColumnType;
pub use config::DatabaseConfig;
pub use connection::{Answer, Connection};
pub use connector::{Database, DatabaseConnector, Described, Divisible, Division, Reader};
pub use error::{CellError, CellResult, Error, Result};
pub use field::Field;
pub use frame::{Frame, OnConflict};
pub use idle::Idle;
pub use kept::KeptConnection;
pub use meter::{Meter, Meters, Phase};
pub use narrow::Narrowing;
pub use output::Output;
pub use partition::{Cut, Partition, Plan, Sample, Split, Target};
pub use request::Request;
pub use stop::Stop;
pub use stream::Stream;
pub use value::{Parameters, Value};
