//! Bytes to and from the server, and its errors.

pub(crate) mod errors;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod tls;

/// The buffers of `postgres-protocol`.
pub(crate) type Buffer = bytes::BytesMut;

/// Format in which the server sends the values of a result.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Format {
    Text = 0,
    Binary = 1,
}
