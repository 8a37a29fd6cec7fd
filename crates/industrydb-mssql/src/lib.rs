//! SQL Server for industrydb.
//!
//! A row's way: [`connect`] opens a session of Microsoft's driver; [`describe`] asks the server for the query's columns
//! and lets [`types`] pick a builder for each; [`plan`] asks where its keys lie, and
//! [`dialect`] puts a partition's predicate around the query, [`filter`] a caller's; [`rows`]
//! takes what the driver pushes, value by value, into the [`columns`], text by way of [`utf16`] or its [`code_page`]. [`parameters`] go the
//! other way, and so do the rows of an [`mod@insert`]: [`target`] finds
//! their columns in the table, and [`encode`] makes their values.

#![forbid(unsafe_code)]

mod clock;
mod code_page;
mod columns;
mod connect;
mod connection;
mod decimal;
mod describe;
mod dialect;
mod divide;
mod encode;
mod filter;
mod insert;
mod options;
mod parameters;
mod plan;
mod query;
mod rows;
mod target;
mod types;
mod utf16;

pub use describe::MssqlConnector;
