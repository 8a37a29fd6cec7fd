//! Core of industrydb: all code that is the same for every database.
//!
//! The path of a row from the database to the frame:
//!
//! 1. [`config`] parses a URI into a [`DatabaseConfig`], which masks its secrets.
//! 2. A [`connector::DatabaseConnector`] **describes** the query: it finds the names of the columns
//!    and picks a [`ColumnType`] for each from its type table, before the first row is read.
//! 3. The [`planner`] cuts the query into partitions of similar size, estimated from a sample of
//!    the keys. The first and the last partition have no outer bound.
//! 4. The [`executor`] runs one blocking cursor per partition on its own thread pool.
//! 5. Each cursor appends its cells directly to the column [`builders`].
//! 6. The rows of a partition leave the builders as a [`chunk::Chunk`]. [`mod@widen`] converts
//!    columns with different types in different partitions to one type, without loss.
//! 7. [`stack::stack`] concatenates the chunks in partition order, without a copy.
//!
//! A [`Stream`] hands over the chunks while they are read, as batches of one schema, through
//! bounded channels. A [`mod@narrow`]ed query has only the columns and rows that a caller needs.
//! Each worker writes its rows to an [`Output`], whose [`Meter`] shows the progress to other
//! threads.
//!
//! A [`Connection`] is a session that the caller keeps. A stream that reads on it borrows the
//! session ([`Lent`]). [`statements`] builds the statements on a table from names and values. A
//! [`Frame`] goes the opposite way: from the frame's memory, one value at a time, into a table.
//!
//! With the feature `net`, [`net`] has the streams of connectors that speak a protocol of their own.
//!
//! [`printable`] escapes control characters of foreign text before a message shows it.
//!
//! Core knows no particular database: quoting, limits, casts and predicates live in the connector
//! crates. Adding a database takes one crate and one line in the list of databases.

#![deny(unsafe_code)]

mod base;
mod data;
#[cfg(feature = "net")]
pub mod net;
mod read;
mod schema;
mod session;
mod sql;
mod write;

pub use base::{allocator, config, error, file, printable, retry, stop, suggest};
pub use data::{builders, chunk, convert, scalar, stack, widen};
pub use read::{
    connection, connector, executor, held, idle, meter, output, partition, planner, request,
    stream, workers,
};
pub use schema::{calendar, column_type, field, iso, value};
pub use session::{kept, lent, table};
pub use sql::{
    clock, dialect, ending, foreign, mistakes, modifiers, narrow, shape, signs, skipped,
    statements, tokens,
};
pub use write::frame;

pub use base::secret::{Ask, Secret};
pub use chunk::{Chunk, ChunkColumn};
pub use column_type::ColumnType;
pub use config::DatabaseConfig;
pub use connection::{Answer, Columns, Connection};
pub use connector::{Database, DatabaseConnector, Described, Divisible, Division, Reader};
pub use error::{CellError, CellResult, Error, Result};
pub use field::Field;
pub use frame::{Frame, OnConflict};
pub use held::{HeldSnapshot, Hold, Holder};
pub use idle::Idle;
pub use kept::KeptConnection;
pub use lent::Lent;
pub use meter::{Meter, Meters, Phase};
pub use narrow::Narrowing;
pub use output::Output;
pub use partition::{Cut, Partition, Plan, Sample, Split, Target};
pub use request::Request;
pub use stop::Stop;
pub use stream::Stream;
pub use value::{Parameters, Value};
