//! Test helpers that several crates share. No released crate depends on this one.
//!
//! [`FakeConnector`] is a database in memory: its partitions follow a script of rows, waits and
//! failures, so that tests of the executor and of streams need neither a server nor a pause;
//! [`FakeConnection`] records the statements of a session. [`layers`] checks that the files of a
//! crate use each other in one direction only, and [`docs`] reads the documentation's tables.

pub mod connection;
pub mod docs;
pub mod fake;
pub mod layers;

pub use connection::FakeConnection;
pub use fake::{FakeConnector, Gate, Step};
