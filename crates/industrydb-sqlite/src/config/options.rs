//! Where the database is, and how its file may be used: what the URI says.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use industrydb_core::config::Scheme;
use industrydb_core::{DatabaseConfig, Error, Result};
use rusqlite::OpenFlags;

const KNOWN: [&str; 2] = ["immutable", "mode"];

/// How the URIs of these databases begin.
pub(crate) const SCHEME: Scheme = Scheme {
    name: "sqlite",
    synonyms: &[],
    is_file: true,
};

/// The name of a database that no file has.
pub(crate) const IN_MEMORY: &str = ":memory:";

/// Where the database is, and what may be done with its file.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    /// Whether nothing may be written, not even to undo what a writer has left.
    pub(crate) is_read_only: bool,
    /// Whether nobody changes the file: it is read without locks, and without the files beside it.
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

    /// How to open the file to write, if that may be.
    pub(crate) fn flags_to_write(&self) -> OpenFlags {
        if self.is_read_only {
            self.flags_to_read()
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX
        }
    }

    /// How to open the file to read.
    pub(crate) fn flags_to_read(&self) -> OpenFlags {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if self.is_immutable {
            flags | OpenFlags::SQLITE_OPEN_URI
        } else {
            flags
        }
    }

    /// What SQLite takes for the file's name: a URI where that must say more.
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

    /// The file beside an immutable one whose rows SQLite would not look for.
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

    /// The file that the path leads to, by whatever symbolic links: beside it stand the others.
    fn followed(&self) -> PathBuf {
        let followed = self.path.canonicalize();
        followed.unwrap_or_else(|_| self.path.clone())
    }
}

/// The rollback journal of a transaction in a file that has not ended.
pub(crate) fn hot_journal(path: &Path) -> Option<PathBuf> {
    let journal = beside(path, "-journal");
    // One that was kept behind a transaction begins with zeros.
    let mut first = [0];
    let mut file = File::open(&journal).ok()?;
    (file.read(&mut first).ok()? == 1 && first != [0]).then_some(journal)
}

/// The path of the file with a suffix. Links must have been followed, as in the names that SQLite
/// has for its files.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
