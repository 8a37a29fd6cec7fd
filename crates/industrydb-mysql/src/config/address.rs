//! The address of a server.

use std::path::PathBuf;

/// Address of a server: a host and port, or the path of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}
