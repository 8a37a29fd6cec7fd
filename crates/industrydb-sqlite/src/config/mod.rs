//! Configuration: the path of the database, and how its file may be used.

pub(crate) mod options;
