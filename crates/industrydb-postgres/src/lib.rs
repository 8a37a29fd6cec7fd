//! Reads from and writes to PostgreSQL for industrydb.
//!
//! The modules, in the order in which a read uses them (`tests/layers.rs` checks which module may
//! use which):
//!
//! 1. [`config`]: the options of a session, from the URI, a service, the environment and libpq's
//!    files.
//! 2. [`types`]: the type table, which picks a decoder for each PostgreSQL type; [`sql`]: the
//!    statements that are built around a query.
//! 3. [`wire`]: the socket, TLS, and the server's errors.
//! 4. [`session`]: login, messages and transactions of a session; the description of a query; the
//!    lookup of types in the server's catalog.
//! 5. [`read`]: divides the query, begins its sessions together, and splits the rows of each
//!    partition into fields inside the receive buffer; [`columns`] decode each field into its
//!    column's builder.
//! 6. [`write`](mod@write): the opposite direction: [`encode`] encodes a frame's values, which COPY
//!    writes into a locked table.
//! 7. [`connection`]: a session that the caller keeps; [`connector`]: the public interface.
//!
//! Formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html> and
//! <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS>

#![forbid(unsafe_code)]

mod columns;
mod config;
mod connection;
mod connector;
mod encode;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod read;
mod session;
mod sql;
mod types;
mod wire;
mod write;

pub use connector::PostgresConnector;
