//! Where the database is, and how its file may be used.

pub(crate) mod options;
