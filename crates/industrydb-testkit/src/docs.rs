//! Reads the documentation, whose tables the tests compare with the code.

use std::path::Path;
use std::{fs, io};

/// Returns a page of the documentation, such as `writing.md`.
///
/// A crate that includes the page itself could not be packaged, since the page is outside of it.
///
/// # Errors
///
/// When the page cannot be read.
pub fn page(name: &str) -> io::Result<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::read_to_string(docs.join(name))
}
