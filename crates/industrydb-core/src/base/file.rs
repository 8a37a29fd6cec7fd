//! Reads small files that a caller names.

use std::path::Path;
use std::{fs, io};

/// Reads a file, and refuses everything else that has a path: reading a pipe, for example, might
/// never end.
///
/// # Errors
///
/// When the path is not that of a file, or the file cannot be read.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if path.exists() && !path.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    fs::read(path)
}
