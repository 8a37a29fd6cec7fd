//! SQL Server for industrydb.
//!
//! A row's way: [`session`] opens a session of Microsoft's driver, as [`config`] says; [`read`]
//! asks the server for the query's columns, lets [`types`] pick a builder for each, and asks where
//! its keys lie; [`sql`] puts a partition's predicate around the query, or a caller's; [`columns`]
//! take what the driver pushes, value by value, with text as the [`wire`] encodes it. Parameters
//! and the rows of a [`mod@write`] go the other way: [`encode`] makes their values. A
//! [`connection`] is a session that the caller keeps.

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
