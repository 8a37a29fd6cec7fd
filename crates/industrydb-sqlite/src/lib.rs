//! SQLite for industrydb.
//!
//! A row's way: [`options`] say where the file is; [`connect`] opens a read-only connection, for whose locks [`descriptors`] looks
//! who else in the process has the file open; [`describe`] prepares
//! the query and lets [`types`] read the declared types; [`explain`] asks SQLite how it runs a
//! query, [`plan`] finds out where its keys lie, from the inner pages of a table if it can; [`dialect`] puts a partition's predicate around the query, and [`filter`] a caller's; a table that is
//! read plainly is decoded from its [`pages`], and [`cursor`] steps through the rows of all other queries; [`rows`] hands each
//! value to its column, and [`columns`] write it into a builder, or note that the column needs a wider type. The rows of an
//! [`mod@insert`] go the other way.
//!
//! SQLite keeps values of any kind in any column. So a column's type is what its declaration says
//! until a value is seen that does not fit: then the type is widened, for all partitions, and the
//! partitions that were read with the narrower type are read again.

mod clock;
mod collation;
mod columns;
mod connect;
mod connection;
mod cursor;
mod describe;
mod descriptors;
mod dialect;
mod divide;
mod explain;
mod filter;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod insert;
mod options;
mod pages;
mod plan;
mod query;
mod rows;
mod types;

pub use describe::SqliteConnector;
