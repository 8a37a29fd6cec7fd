//! Bytes to and from the server, and its errors.

pub(crate) mod errors;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod tls;

/// The buffers of `postgres-protocol`.
pub(crate) type Buffer = bytes::BytesMut;
