//! The URI's options: the path of the database, and how its file may be used.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use industrydb_core::config::Scheme;
use industrydb_core::{DatabaseConfig, Error, Result};
use rusqlite::OpenFlags;

const KNOWN: [&str; 2] = ["immutable", "mode"];

/// URI scheme of SQLite databases.
pub(crate) const SCHEME: Scheme = Scheme {
    name: "sqlite",
    synonyms: &[],
    is_file: true,
};

/// Name of the in-memory database, which has no file.
pub(crate) const IN_MEMORY: &str = ":memory:";

/// Path of the database, and how its file may be used.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    /// Whether nothing may be written, not even to roll back an interrupted writer's transaction.
    pub(crate) is_read_only: bool,
    /// Whether the file never changes: it is read without locks, and without its log and journal.
    pub(crate) is_immutable: bool,
}

impl Options {
    /// Refuses options that SQLite does not have.
    pub(crate) fn check_names(config: &DatabaseConfig) -> Result<()> {
        config
            .reject_unknown_options("SQLite", &KNOWN)
            .map_err(|error| {
                Error::configuration(format!("{error}; a ? in a file's name must be written %3F"))
            })
    }

    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        Self::check_names(config)?;
        let option = |name: &str| config.options.get(name).map(String::as_str);
        let is_immutable = match option("immutable") {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(other) => {
                return Err(Error::configuration(format!(
                    "immutable must be 1 or 0, not {other:?}"
                )));
            }
        };
        let is_read_only = match option("mode") {
            None | Some("rw") => is_immutable,
            Some("ro") => true,
            Some(other) => {
                return Err(Error::configuration(format!(
                    "mode must be ro, which writes nothing, or rw, not {other:?}"
                )));
            }
        };
        match config.database.as_deref() {
            None => Err(Error::configuration(
                "the SQLite URI names no file: sqlite:///absolute/path.db or sqlite://relative.db",
            )),
            Some(IN_MEMORY) if is_read_only => Err(Error::configuration(
                "mode=ro and immutable=1 are for files: an in-memory database would have nothing to read",
            )),
            Some(path) => Ok(Self {
                path: path.into(),
                is_read_only,
                is_immutable,
            }),
        }
    }

    /// Returns the flags to open the file for writing, or for reading if nothing may be written.
    pub(crate) fn flags_to_write(&self) -> OpenFlags {
        if self.is_read_only {
            self.flags_to_read()
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX
        }
    }

    /// Returns the flags to open the file for reading.
    pub(crate) fn flags_to_read(&self) -> OpenFlags {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if self.is_immutable {
            flags | OpenFlags::SQLITE_OPEN_URI
        } else {
            flags
        }
    }

    /// Returns the file name to give to SQLite: a URI if the file is immutable, otherwise the path.
    /// <https://www.sqlite.org/uri.html>
    pub(crate) fn name(&self) -> PathBuf {
        if !self.is_immutable {
            return self.path.clone();
        }
        let path = self.path.to_string_lossy();
        let path = path
            .replace('%', "%25")
            .replace('?', "%3f")
            .replace('#', "%23");
        let authority = if path.starts_with('/') { "//" } else { "" };
        format!("file:{authority}{path}?immutable=1").into()
    }

    /// Returns the log or journal of an immutable file, if there is one with changes, which SQLite
    /// would ignore.
    pub(crate) fn left_out(&self) -> Option<PathBuf> {
        if !self.is_immutable {
            return None;
        }
        let log = beside(&self.followed(), "-wal");
        if log.metadata().is_ok_and(|found| found.len() > 0) {
            return Some(log);
        }
        self.hot_journal()
    }

    /// See [`hot_journal`].
    pub(crate) fn hot_journal(&self) -> Option<PathBuf> {
        hot_journal(&self.followed())
    }

    /// Returns the path with symbolic links resolved: the log and the journal are beside the real
    /// file.
    fn followed(&self) -> PathBuf {
        let followed = self.path.canonicalize();
        followed.unwrap_or_else(|_| self.path.clone())
    }
}

/// Returns the rollback journal of a transaction that has not ended in this file, if there is one.
pub(crate) fn hot_journal(path: &Path) -> Option<PathBuf> {
    let journal = beside(path, "-journal");
    // A journal that was kept after its transaction begins with zeros.
    let mut first = [0];
    let mut file = File::open(&journal).ok()?;
    (file.read(&mut first).ok()? == 1 && first != [0]).then_some(journal)
}

/// Returns the path with a suffix. Symbolic links must be resolved first, as SQLite does to name
/// the files beside its database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
