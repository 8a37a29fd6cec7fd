//! A file of a test.

use std::path::PathBuf;

use rusqlite::Connection;

use crate::config::options::Options;

/// A temporary folder for a file, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = format!("industrydb-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("made");
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("t.db")
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.file()).expect("opened")
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            path: self.file(),
            is_read_only: false,
            is_immutable: false,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
