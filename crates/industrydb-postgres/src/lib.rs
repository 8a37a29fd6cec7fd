//! PostgreSQL for industrydb.
//!
//! One row's way through the house, each room above those that it uses:
//!
//! 1. [`config`]: the options of a session, from the URI, a service, the environment and the files
//!    beside them.
//! 2. [`types`]: the table that picks a decoder for each type; [`sql`]: the statements around a
//!    query.
//! 3. [`wire`]: the socket, TLS, and the server's errors.
//! 4. [`session`]: its login, its messages and its transactions; the description of a query, and
//!    the types that only the server's catalog knows.
//! 5. [`read`]: the query is cut, its sessions begin together, and each partition's rows are taken
//!    apart straight in the receive buffer, where [`columns`] decode each field into its builder.
//! 6. [`write`](mod@write): the other way, a frame's values by [`encode`] into a locked table.
//! 7. A [`connection`] is a session that the caller keeps; the [`connector`] is all that others
//!    see.
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
