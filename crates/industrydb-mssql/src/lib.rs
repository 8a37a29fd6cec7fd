//! SQL Server for industrydb.
//!
//! The path of a row: [`session`] opens a session with Microsoft's driver, configured by
//! [`config`]; [`read`] asks the server for the query's columns, looks up the decoding of each in
//! [`types`], and samples the partition keys; [`sql`] wraps the query in the predicate of a
//! partition or of the caller; [`columns`] appends the values that the driver pushes to column
//! builders; [`wire`] decodes text. Parameters and the rows of a [`mod@write`] go the other way:
//! [`encode`] converts them to the driver's values. A [`connection`] is a session that the caller
//! keeps.

#![forbid(unsafe_code)]

mod columns;
mod config;
mod connection;
mod connector;
mod encode;
mod read;
mod session;
mod sql;
mod types;
mod wire;
mod write;

pub use connector::MssqlConnector;
