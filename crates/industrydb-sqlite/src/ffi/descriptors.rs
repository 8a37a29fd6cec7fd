//! Finds the files that other code in the process has open too, such as Python's `sqlite3`.
//!
//! POSIX locks belong to a process and a file, not to the library that took them: two copies of
//! SQLite in one process do not see each other's locks, and closing any descriptor of a file drops
//! all of them.
//! <https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>
//! On Windows, locks belong to the handle that took them, and nothing is searched.

use std::ffi::{CStr, CString, c_int};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ffi};

use super::handle;
pub(crate) use os::{
    first_open_elsewhere, first_without_log, has_log, is_inherited, newly_open_elsewhere,
};

/// Opens a connection, and records which descriptors are ours.
pub(crate) fn open(name: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    os::watch();
    Connection::open_with_flags(name, flags)
}

/// Returns the files of a connection: that of its database, and those that were attached.
pub(crate) fn files(connection: &Connection) -> Vec<PathBuf> {
    let name = |number: c_int| {
        // SAFETY: the name lives until a database is attached or detached, and is copied at once.
        let name = unsafe { ffi::sqlite3_db_name(handle(connection), number) };
        // SAFETY: as above.
        (!name.is_null()).then(|| CString::from(unsafe { CStr::from_ptr(name) }))
    };
    let names = (0..).map_while(name);
    names.filter_map(|name| file(connection, &name)).collect()
}

/// Returns the file of one of a connection's databases; `None` if it is in memory, or has temporary
/// tables.
pub(crate) fn file(connection: &Connection, database: &CStr) -> Option<PathBuf> {
    // SAFETY: the path lives until the database is detached, and is copied at once.
    let file = unsafe { ffi::sqlite3_db_filename(handle(connection), database.as_ptr()) };
    if file.is_null() {
        return None;
    }
    // SAFETY: as above.
    let file = os::path(unsafe { CStr::from_ptr(file) });
    (!file.as_os_str().is_empty()).then_some(file)
}

#[cfg(unix)]
mod os {
    use std::collections::{HashMap, HashSet};
    use std::ffi::{CStr, OsStr, c_char, c_int};
    use std::fs::{self, File};
    use std::mem::{self, ManuallyDrop};
    use std::os::fd::{FromRawFd, RawFd};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
    use std::{process, ptr};

    use rusqlite::ffi;

    use crate::config::options::beside;

    /// Identity of a file, whatever its name: its device and inode number.
    type Identity = (u64, u64);
    /// Results of earlier searches.
    #[derive(Default)]
    struct Seen {
        /// Files that were found open elsewhere.
        told: HashSet<PathBuf>,
        /// Files of the last search that found nothing, and the number of descriptors that were not
        /// ours then.
        alone: (Option<u64>, Vec<PathBuf>),
    }

    type Open = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
    type Close = unsafe extern "C" fn(c_int) -> c_int;

    /// Directories in which the system lists the open descriptors of the process by number: Linux,
    /// and other systems.
    const LISTS: [&str; 2] = ["/proc/self/fd", "/dev/fd"];

    /// A file that our copy of SQLite has open.
    struct Opened {
        /// Path by which the file was opened.
        path: PathBuf,
        identity: Option<Identity>,
    }

    /// Files that our copy of SQLite has open, by their descriptors.
    #[derive(Default)]
    struct Ours {
        open: HashMap<RawFd, Opened>,
        /// Process that opened the files.
        process: u32,
        /// Files that an earlier process had open when this one was forked from it. SQLite goes on
        /// to count the locks of that process as locks that this one holds.
        inherited: HashSet<Identity>,
    }

    /// The lock is held while SQLite opens or closes a file, so that no descriptor of ours is
    /// missing here for a thread that holds the lock.
    static OURS: LazyLock<Mutex<Ours>> = LazyLock::new(Mutex::default);
    static SEEN: LazyLock<Mutex<Seen>> = LazyLock::new(Mutex::default);
    /// SQLite's own functions to open and close a file, which ours replace and call.
    static CALLS: LazyLock<Option<(Open, Close)>> = LazyLock::new(replaced);

    /// Locks a mutex, even one that another thread has poisoned: its content is consistent between
    /// two calls.
    fn locked<T>(set: &Mutex<T>) -> MutexGuard<'_, T> {
        set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the files that this process has opened.
    fn ours() -> MutexGuard<'static, Ours> {
        let mut ours = locked(&OURS);
        let process = process::id();
        if ours.process != process {
            let open = mem::take(&mut ours.open);
            let identities = open.into_values().filter_map(|opened| opened.identity);
            ours.inherited.extend(identities);
            ours.process = process;
        }
        ours
    }

    /// Starts to record which descriptors are ours.
    pub(super) fn watch() {
        LazyLock::force(&CALLS);
    }

    /// Replaces SQLite's functions by ours, through the interface that its own tests use, and
    /// returns SQLite's. <https://www.sqlite.org/c3ref/vfs.html>
    fn replaced() -> Option<(Open, Close)> {
        // SAFETY: the default VFS lives as long as the process. Our copy of SQLite has opened
        // nothing yet, so that no other thread is in one of the calls that are replaced.
        unsafe {
            let vfs = ffi::sqlite3_vfs_find(ptr::null());
            let (get, set) = (vfs.as_ref()?.xGetSystemCall?, vfs.as_ref()?.xSetSystemCall?);
            let (found_open, found_close) =
                (get(vfs, c"open".as_ptr())?, get(vfs, c"close".as_ptr())?);
            // SQLite itself calls the functions by these types.
            let (ours_open, ours_close) = (
                mem::transmute::<Open, unsafe extern "C" fn()>(open),
                mem::transmute::<Close, unsafe extern "C" fn()>(close),
            );
            set(vfs, c"open".as_ptr(), Some(ours_open));
            set(vfs, c"close".as_ptr(), Some(ours_close));
            Some((
                mem::transmute::<unsafe extern "C" fn(), Open>(found_open),
                mem::transmute::<unsafe extern "C" fn(), Close>(found_close),
            ))
        }
    }

    unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
        let Some((open, _)) = *CALLS else { return -1 }; // never: this function replaces it
        let mut ours = ours();
        // SAFETY: these are SQLite's own arguments.
        let descriptor = unsafe { open(path, flags, mode) };
        if descriptor >= 0 {
            let opened = Opened {
                // SAFETY: the path is SQLite's argument, as above, and ends with a NUL.
                path: self::path(unsafe { CStr::from_ptr(path) }),
                identity: metadata(descriptor).as_ref().map(identity),
            };
            ours.open.insert(descriptor, opened);
        }
        descriptor
    }

    unsafe extern "C" fn close(descriptor: c_int) -> c_int {
        let Some((_, close)) = *CALLS else { return -1 }; // as above
        let mut ours = ours();
        ours.open.remove(&descriptor);
        // SAFETY: as above.
        unsafe { close(descriptor) }
    }

    fn identity(metadata: &fs::Metadata) -> Identity {
        (metadata.dev(), metadata.ino())
    }

    pub(super) fn path(text: &CStr) -> PathBuf {
        OsStr::from_bytes(text.to_bytes()).into()
    }

    /// Returns the metadata of what a descriptor has open; `None` if another thread has closed it
    /// meanwhile.
    fn metadata(descriptor: RawFd) -> Option<fs::Metadata> {
        // SAFETY: the descriptor is only asked for its metadata, and not closed. If it was closed
        // elsewhere, that fails.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
        file.metadata().ok()
    }

    /// Returns whether we have the file's log open.
    pub(crate) fn has_log(file: &Path) -> bool {
        let log = beside(file, "-wal");
        ours().open.values().any(|opened| opened.path == log)
    }

    /// Returns whether this process was forked from one that had the file open.
    pub(crate) fn is_inherited(file: &Path) -> bool {
        let ours = ours();
        let found = || file.metadata().ok().map(|found| identity(&found));
        !ours.inherited.is_empty() && found().is_some_and(|file| ours.inherited.contains(&file))
    }

    /// Returns the first of the files whose log was removed while we have it open.
    pub(crate) fn first_without_log(files: &[PathBuf]) -> Option<&PathBuf> {
        let ours = ours();
        files.iter().find(|file| {
            let log = beside(file, "-wal");
            let mut opened = ours.open.iter().filter(|(_, opened)| opened.path == log);
            opened.any(|(descriptor, _)| metadata(*descriptor).is_some_and(|log| log.nlink() == 0))
        })
    }

    /// Returns the number of descriptors that are not ours, if the system tells it without listing
    /// them: Linux since 6.2.
    fn count_of_others() -> Option<u64> {
        let ours = ours();
        let all = fs::metadata(LISTS[0]).ok()?.size();
        all.checked_sub(u64::try_from(ours.open.len()).ok()?)
    }

    /// Returns the first of the files that was newly found open elsewhere; each file is returned
    /// once. If many descriptors are open, searching them takes longer than the rest of a small
    /// read, so the search is skipped while their number is unchanged.
    pub(crate) fn newly_open_elsewhere(mut files: Vec<PathBuf>) -> Option<PathBuf> {
        let count = count_of_others();
        let mut seen = locked(&SEEN);
        if count.is_some() && seen.alone == (count, files.clone()) {
            return None;
        }
        let all = files.clone();
        files.retain(|file| !seen.told.contains(file));
        let found = first_open_elsewhere(&files).cloned();
        match &found {
            Some(file) => {
                seen.told.insert(file.clone());
            }
            None => seen.alone = (count, all),
        }
        found
    }

    /// Returns the first of the files that has a descriptor which is not ours, on the file itself
    /// or on its shared memory.
    pub(crate) fn first_open_elsewhere(files: &[PathBuf]) -> Option<&PathBuf> {
        (*CALLS)?; // otherwise it is unknown which are ours
        let mut wanted: Vec<(Identity, &PathBuf)> = Vec::new();
        for file in files {
            // In WAL mode, the locks are on the shared memory's file.
            for locked in [file, &beside(file, "-shm")] {
                if let Ok(found) = locked.metadata() {
                    wanted.push((identity(&found), file));
                }
            }
        }
        if wanted.is_empty() {
            return None;
        }
        let listed = LISTS.iter().find_map(|list| fs::read_dir(list).ok())?;
        let ours = ours();
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<RawFd>().ok();
        let others = listed
            .flatten()
            .filter_map(number)
            .filter(|number| !ours.open.contains_key(number));
        for other in others {
            let Some(found) = metadata(other) else {
                continue;
            };
            let found = identity(&found);
            if let Some((_, file)) = wanted.iter().find(|(wanted, _)| *wanted == found) {
                return Some(file);
            }
        }
        None
    }
}

#[cfg(not(unix))]
mod os {
    use std::ffi::CStr;
    use std::path::{Path, PathBuf};

    pub(super) fn watch() {}

    pub(super) fn path(text: &CStr) -> PathBuf {
        text.to_string_lossy().into_owned().into()
    }

    pub(crate) fn has_log(_file: &Path) -> bool {
        false
    }

    pub(crate) fn is_inherited(_file: &Path) -> bool {
        false
    }

    pub(crate) fn newly_open_elsewhere(_files: Vec<PathBuf>) -> Option<PathBuf> {
        None
    }

    pub(crate) fn first_without_log(_files: &[PathBuf]) -> Option<&PathBuf> {
        None
    }

    pub(crate) fn first_open_elsewhere(_files: &[PathBuf]) -> Option<&PathBuf> {
        None
    }
}
