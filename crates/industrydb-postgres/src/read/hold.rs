//! Snapshots that one session holds, and reads that see them.
//!
//! The holder keeps the locks of what will be read, so that no table can be rewritten, dropped or
//! renamed while the snapshot is held. A partition may still be attached to a locked table, and a
//! snapshot that another program has exported comes without locks. So each session that imports a
//! snapshot also checks, once it has locks of its own, that nothing has changed since.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use industrydb_core::tokens::single_statement;
use industrydb_core::{Error, HeldSnapshot, Hold, Result, Stop};

use crate::config::options::Options;
use crate::read::group::{Group, LOCK_NOT_AVAILABLE, Outcome, PLANNED, again};
use crate::read::locks;
use crate::read::together::Together;
use crate::session::connect::Session;
use crate::session::describe::columns;
use crate::session::held::HeldId;
use crate::session::start::{Purpose, Start};
use crate::sql::control;
use crate::sql::dialect::{DIALECT, LEXICON};
use crate::sql::moment::{Moment, Wait};

/// How long sessions that import a snapshot wait for each other, beyond the first one's time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Session whose transaction keeps a snapshot, and the locks of what will be read in it.
struct Held {
    token: String,
    _session: Mutex<Session>, // ends with this value, and the snapshot with it
}

impl HeldSnapshot for Held {
    fn token(&self) -> &str {
        &self.token
    }
}

/// Opens a session that locks what the queries and tables need, and exports its snapshot.
///
/// # Errors
///
/// [`Error::Configuration`] if there is nothing to hold, or too much; when the server refuses a
/// query, a lock or a snapshot.
pub(crate) fn hold(options: &Options, hold: &Hold, stop: &Stop) -> Result<Box<dyn HeldSnapshot>> {
    let mut queries = Vec::new();
    for query in &hold.queries {
        queries.push(single_statement(query, LEXICON)?.to_owned());
    }
    if !hold.tables.is_empty() {
        let rows = |table: &String| Ok(format!("SELECT 1 FROM {}", DIALECT.table(table)?));
        let rows: Vec<String> = hold.tables.iter().map(rows).collect::<Result<_>>()?;
        queries.push(rows.join(" UNION ALL "));
    }
    if queries.is_empty() || queries.len() > PLANNED {
        return Err(Error::configuration(format!(
            "hold_snapshot takes from 1 to {PLANNED} queries, or the names of tables, and has got {}",
            queries.len()
        )));
    }
    let mut start = Start::new(&hold.setup, Purpose::Transaction);
    let mut session = Session::open_first(options, &mut start, stop)?;
    let mut described = Vec::new();
    for query in &queries {
        let found = columns(&mut session, query, 0, stop)?;
        described.push(
            found.ok_or_else(|| {
                Error::configuration("hold_snapshot takes queries that return rows")
            })?,
        );
    }
    let group = Group {
        options,
        start: &start,
        queries: &queries,
        described: &described,
        parameters: &[],
        is_serial: false,
    };
    let begun = group.begin(session, 1, stop)?;
    let changed = || Error::Query {
        message:
            "a query's columns have changed while its tables were locked; hold the snapshot again"
                .to_owned(),
        code: Some(LOCK_NOT_AVAILABLE.to_owned()),
        partition: None,
        is_transient: true,
    };
    let Together { mut sessions, held } = begun.ok_or_else(changed)?;
    let mut session = sessions.pop().ok_or_else(changed)?;
    let id = group.export(&mut session, stop)?;
    let relations = Some(held.locked.relations);
    Ok(Box::new(Held {
        token: HeldId { id, relations }.to_string(),
        _session: Mutex::new(session),
    }))
}

impl Group<'_> {
    /// Lets all sessions import a snapshot that another session holds, and lock what the queries
    /// read.
    pub(super) fn attempt_held(
        &self,
        held: &HeldId,
        first: &mut Session,
        others: &mut Vec<Session>,
        stop: &Stop,
    ) -> Result<Outcome> {
        let begin = |session: &Session| {
            control::begin(Moment::Of(&held.id), Wait::Short, session.version())
        };
        let started = Instant::now();
        first.enter(&begin(first), Wait::Short, self.start, stop)?;
        let own = match self.lock(first, true, stop) {
            Ok(Some(own)) => own,
            Ok(None) => return Ok(Outcome::Changed),
            Err(error) => return again(error),
        };
        locks::check_held(first, &own.locked, held.relations.as_deref(), stop)?;
        first.script(control::LONGER_WAIT, stop)?;
        let deadline = Instant::now() + PATIENCE + 4 * started.elapsed();
        if let Some(error) = self.join(first, others, &begin, &own.locked, deadline, stop)? {
            return Ok(Outcome::Again(error));
        }
        Ok(Outcome::Begun(own))
    }
}
