//! Reads queries: describes and divides them, begins their sessions, and decodes their rows.

pub(crate) mod clock;
pub(crate) mod describe;
pub(crate) mod dives;
pub(crate) mod divide;
pub(crate) mod kept;
pub(crate) mod narrowed;
pub(crate) mod query;
pub(crate) mod reader;
pub(crate) mod rows;
pub(crate) mod samples;
pub(crate) mod together;
