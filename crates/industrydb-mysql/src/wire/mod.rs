//! The socket, TLS, packets, and the server's errors.

pub(crate) mod bytes;
pub(crate) mod compression;
pub(crate) mod errors;
pub(crate) mod packet;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod tls;
