//! Streams of bytes to a server, for the connectors that speak a protocol of their own.

pub mod address;
pub mod stream;
pub mod tls;
