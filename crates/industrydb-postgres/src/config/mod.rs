//! Where a server is and how to log in: the URI, services, the environment, and libpq's files.

pub(crate) mod client_key;
pub(crate) mod hosts;
pub(crate) mod options;
pub(crate) mod password_file;
pub(crate) mod settings;
