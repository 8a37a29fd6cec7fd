//! Reads from and writes to MySQL and MariaDB for industrydb.
//!
//! The modules, in the order in which a read uses them (`tests/layers.rs` checks which module may
//! use which):
//!
//! 1. [`config`]: the options of a session.
//! 2. [`types`]: the type table, which picks a decoder for each type; [`sql`]: the statements that
//!    are built around a query.
//! 3. [`wire`]: the socket, TLS, packets, and the server's errors.
//! 4. [`session`]: login, statements, and the end of a session; [`encode`] encodes parameters.
//! 5. [`read`]: describes and divides the query, begins its sessions together, and splits the rows
//!    of each partition into values inside the receive buffer; [`columns`] decode each value into
//!    its column's builder.
//! 6. [`write`](mod@write): rows into tables.
//! 7. [`connection`]: a session that the caller keeps; [`connector`]: the public interface.
//!
//! Formats: <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html> and
//! <https://mariadb.com/kb/en/clientserver-protocol/>

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

pub use connector::MysqlConnector;
