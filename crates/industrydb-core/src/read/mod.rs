//! A query on its way into a frame.

pub mod connector;
pub mod executor;
pub mod idle;
pub mod meter;
pub mod output;
pub mod partition;
pub mod planner;
pub mod request;
pub mod settle;
pub mod stream;
