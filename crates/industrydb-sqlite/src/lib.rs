//! SQLite for industrydb.
//!
//! The modules, from the lowest layer to the highest: each uses only those listed before it.
//!
//! 1. [`config`]: the path of the file, from the URI; [`types`]: the type that a declaration
//!    implies.
//! 2. [`sql`]: the statements around a query.
//! 3. [`ffi`]: SQLite's C interface: statements, rows and locks.
//! 4. [`columns`]: one decoder per column, which takes the rows' values.
//! 5. [`session`]: connections, and transactions that begin together on one state of the file.
//! 6. [`pages`]: decodes the pages of a table, for plain queries.
//! 7. [`read`]: describes a query and splits it; each partition is decoded from pages, or stepped
//!    through row by row.
//! 8. [`write`](mod@write): writes a frame's rows into a table.
//! 9. [`connection`]: a session that the caller keeps; [`connector`]: the public interface.
//!
//! SQLite stores values of any kind in any column. So a column has the type of its declaration
//! until a value does not fit: the type is then widened for all partitions, and the partitions that
//! were read with the narrower type are read again.

#![deny(unsafe_code)]

mod columns;
mod config;
mod connection;
mod connector;
#[expect(unsafe_code, reason = "the C interface, and nothing else")]
mod ffi;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod pages;
mod read;
mod session;
mod sql;
mod types;
mod write;

pub use connector::SqliteConnector;
