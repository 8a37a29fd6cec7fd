//! Which state of the database a transaction sees, and how long it waits for locks.

/// Which state of the database a transaction sees.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment<'a> {
    /// Each statement sees the state at the time when it holds all its locks.
    Each,
    /// All statements see the state at the start of the first one.
    First,
    /// All statements see the state that another session has exported.
    Of(&'a str),
}

/// How long a statement of a transaction waits for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as the server's settings say, which is for ever by default.
    Long,
    /// A short time, since other sessions of the same read hold locks.
    Short,
    /// A little longer, since all sessions of the read wait for the same locks.
    Together,
}
