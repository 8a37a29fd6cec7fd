//! A file of a test.

use std::path::PathBuf;

use rusqlite::Connection;

/// A temporary folder for a file, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = format!("industrydb-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("made");
        Self(folder)
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.0.join("t.db")).expect("opened")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
