//! PostgreSQL for industrydb.
//!
//! A row's way: [`connect`] opens a session over a [`wire`], with [`tls`] if need be, and the [`login`]; it begins a
//! [`transaction`], or several do so [`together`], by the statements of [`control`]; [`describe`] prepares the query and lets
//! [`types`] and the [`catalog`] pick a decoder for each column; the [`query`] asks a [`plan`] where its keys lie; [`dialect`]
//! puts a partition's predicate and casts around it, with the [`operators`] of the key's type, and [`filter`] a caller's;
//! [`read`] runs it, and looks at its [`locks`]; [`rows`] takes its messages apart, straight in the receive buffer;
//! [`columns`] decode each field into its builder. [`parameters`] go the other way, and so do the rows of an [`mod@insert`]
//! into its locked [`target`], which [`encode`] writes. A [`connection`] is a session that the caller keeps; [`errors`] are
//! the server's words. The [`options`] of a session come from its [`settings`], those of a URI, a service and the environment;
//! a [`password_file`] may have what they lack, and a [`client_key`] what a client shows.
//!
//! Formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html> and
//! <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS>

#![forbid(unsafe_code)]

mod catalog;
mod client_key;
mod clock;
mod columns;
mod connect;
mod connection;
mod control;
mod describe;
mod dialect;
mod divide;
mod encode;
mod errors;
mod filter;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod insert;
mod locks;
mod login;
mod operators;
mod options;
mod parameters;
mod password_file;
mod plan;
mod query;
mod read;
mod rows;
mod settings;
mod target;
mod tls;
mod together;
mod transaction;
mod types;
mod wire;

pub use describe::PostgresConnector;
