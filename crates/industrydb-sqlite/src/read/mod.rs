//! A query on its way into a frame: described, divided, read.

pub(crate) mod clock;
pub(crate) mod describe;
pub(crate) mod divide;
pub(crate) mod part;
pub(crate) mod query;
pub(crate) mod reader;
pub(crate) mod samples;
pub(crate) mod shape;
