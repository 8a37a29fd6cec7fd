//! Names of snapshots that another session holds.

use std::fmt;

use industrydb_core::{Error, Result};

/// SQLSTATEs of a snapshot whose transaction has ended, or that was never exported.
const NOT_HELD: [&str; 2] = ["22023", "42704"];

/// Snapshot that another session has exported, and holds as long as its transaction lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldId {
    /// Id that `pg_export_snapshot` has returned.
    pub(crate) id: String,
    /// OIDs of the relations that the holder has locked, in ascending order; `None` if the
    /// snapshot was exported by a session that is not ours.
    pub(crate) relations: Option<Vec<u32>>,
}

impl HeldId {
    /// Parses what [`Display`](fmt::Display) writes, or an id as the server prints it.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for any other text.
    pub(crate) fn parse(token: &str) -> Result<Self> {
        let wrong = || {
            Error::configuration(format!(
                "snapshot={token:?} is no id of a snapshot: pg_export_snapshot() returns one, such as \
                 \"00000003-0000001B-1\""
            ))
        };
        let (id, relations) = match token.split_once(' ') {
            Some((id, oids)) => {
                let oids = oids.split(',').filter(|oid| !oid.is_empty());
                let oids: std::result::Result<Vec<u32>, _> = oids.map(str::parse).collect();
                (id, Some(oids.map_err(|_| wrong())?))
            }
            None => (token, None),
        };
        let is_written = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if id.is_empty() || !id.bytes().all(is_written) {
            return Err(wrong());
        }
        Ok(Self {
            id: id.to_owned(),
            relations,
        })
    }
}

/// Explains an error of the statement that imports a snapshot which another session holds.
pub(crate) fn no_longer_held(error: Error) -> Error {
    if error.code().is_some_and(|code| NOT_HELD.contains(&code)) {
        return error.context(
            "the snapshot of this read is no longer held: the block of hold_snapshot has ended, or its session",
        );
    }
    error
}

impl fmt::Display for HeldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        let Some(relations) = &self.relations else {
            return Ok(());
        };
        let oids: Vec<String> = relations.iter().map(u32::to_string).collect();
        write!(f, " {}", oids.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_parsed_as_they_were_written() {
        for token in [
            "00000003-0000001B-1",
            "00000003-0000001B-1 16384,16390",
            "0-1 ",
        ] {
            let held = HeldId::parse(token).expect("a token");
            assert_eq!(held.to_string(), token);
        }
        for token in ["", "x", "1'; DROP", "1 a", "1 -2", "1 1 1", "1 4294967296"] {
            HeldId::parse(token).expect_err(token);
        }
    }
}
