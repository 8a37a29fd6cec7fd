//! SQLite for industrydb.
//!
//! One row's way through the house, each room above those that it uses:
//!
//! 1. [`config`]: where the file is, from the URI; [`types`]: what a declared type promises.
//! 2. [`sql`]: the statements around a query.
//! 3. [`ffi`]: SQLite's C interface, with its statements, its rows and its locks.
//! 4. [`columns`]: a decoder for each column, which takes a row's values.
//! 5. [`session`]: read-only connections, which begin together with one state of the file.
//! 6. [`pages`]: a table that is read plainly is decoded from its pages.
//! 7. [`read`]: the query is described and cut; each partition is read from the pages, or stepped
//!    through.
//! 8. [`write`](mod@write): the other way, a frame's values into a table.
//! 9. A [`connection`] is a session that the caller keeps; the [`connector`] is all that others
//!    see.
//!
//! SQLite keeps values of any kind in any column. So a column's type is what its declaration says
//! until a value is seen that does not fit: then the type is widened, for all partitions, and the
//! partitions that were read with the narrower type are read again.

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
