//! Planning a query and reading it into a frame or a stream of batches.

pub mod connection;
pub mod connector;
pub mod executor;
pub mod held;
pub mod idle;
mod journal;
pub mod meter;
pub mod output;
pub mod partition;
pub mod planner;
pub mod request;
pub(crate) mod settle;
pub mod stream;
#[expect(unsafe_code, reason = "asks the operating system to schedule a thread")]
pub mod workers;
