//! The SQL of transactions, snapshots and locks.

use crate::sql::moment::{Moment, Wait};

/// Tells whether the server is a standby, and whether its transactions are read-only.
pub(crate) const STATE: &str =
    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

/// Sets all that the text form of values depends on, also for types without a binary decoder, so
/// that texts are exact and the same on every server. This is not done at the login, since poolers
/// refuse some of these settings there.
pub(crate) const SETTINGS: &str = "SET LOCAL client_encoding = 'UTF8'; \
     SET LOCAL quote_all_identifiers = off; SET LOCAL DateStyle = 'ISO'; \
     SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 1; \
     SET LOCAL bytea_output = 'hex'";

/// First statement of a transaction that is sent as a single message: the transaction is read-only,
/// and each of its statements sees the state of the database when it holds all its locks.
pub(crate) const ALONE: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY";

/// [`SETTINGS`] as one statement. It returns no rows, since no setting is NULL.
pub(crate) const ALONE_SETTINGS: &str = "SELECT WHERE \
     pg_catalog.set_config('client_encoding', 'UTF8', true) IS NULL \
     OR pg_catalog.set_config('quote_all_identifiers', 'off', true) IS NULL \
     OR pg_catalog.set_config('DateStyle', 'ISO', true) IS NULL \
     OR pg_catalog.set_config('IntervalStyle', 'postgres', true) IS NULL \
     OR pg_catalog.set_config('extra_float_digits', '1', true) IS NULL \
     OR pg_catalog.set_config('bytea_output', 'hex', true) IS NULL";

/// Our own statements before the query of such a transaction; all others are the caller's.
pub(crate) const OURS: [&str; 4] = [ALONE, ALONE_SETTINGS, LONGER_WAIT, NO_TIMEOUT];

/// Ends a transaction, and the settings that were made in it.
pub(crate) const ROLLBACK: &str = "ROLLBACK";

/// Resets the encoding of texts to UTF-8, in which they are exchanged.
pub(crate) const RESTORE_ENCODING: &str = "SET client_encoding = 'UTF8'";

/// Asks for the relations that the session has locked, with NULLs for its other locks, and for the
/// snapshot of this statement and the encoding of texts. There is at least one row: a transaction
/// has a lock on itself.
pub(crate) const LOCKED: &str = "SELECT pg_catalog.pg_current_snapshot(), \
     pg_catalog.current_setting('client_encoding'), relation FROM pg_catalog.pg_lock_status() \
     WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()";

/// Lock timeout of a session while other sessions of its read hold locks, in milliseconds. The
/// server searches for deadlocks only after a second.
const SHORT_WAIT_MS: u32 = 100;

/// Lock timeout while all sessions of a read wait for the same locks, in milliseconds.
const WAIT_TOGETHER_MS: u32 = 1000;

/// Sets the lock timeout, in milliseconds, of the statements that read. If the sessions of the read
/// hold the locks of the whole query by then, the statements wait only for tables that functions
/// read.
pub(crate) const LONGER_WAIT: &str = "SET LOCAL lock_timeout = 60000";

/// Makes the server read without parallel workers.
pub(crate) const SERIAL: &str = "SET LOCAL max_parallel_workers_per_gather = 0";

/// Turns the timeout of transactions off, which the server has since version 17.
pub(crate) const NO_TIMEOUT: &str = "SET LOCAL transaction_timeout = 0";

/// Asks for the isolation level, as [`level`] writes it.
pub(crate) const LEVEL: &str =
    "SELECT pg_catalog.upper(pg_catalog.current_setting('transaction_isolation'))";

/// Returns the isolation level that shows a transaction the state `moment`.
pub(crate) fn level(moment: Moment) -> &'static str {
    match moment {
        Moment::Each => "READ COMMITTED",
        Moment::First | Moment::Of(_) => "REPEATABLE READ",
    }
}

/// Begins a transaction that is read-only, whatever functions the query calls. The transaction may
/// be idle without limit, since the consumer of its rows may be slow.
pub(crate) fn begin(moment: Moment, wait: Wait, version: u32) -> String {
    let level = level(moment);
    let mut parts = vec![format!(
        "BEGIN TRANSACTION ISOLATION LEVEL {level}, READ ONLY"
    )];
    if let Moment::Of(snapshot) = moment {
        parts.push(import(snapshot));
    }
    parts.push("SET LOCAL idle_in_transaction_session_timeout = 0".to_owned());
    if version >= 17 {
        parts.push(NO_TIMEOUT.to_owned());
    }
    parts.extend(lock_timeout(wait));
    parts.join("; ")
}

/// Limits how long a transaction waits for a lock; `None` leaves the limit to the server's
/// settings.
pub(crate) fn lock_timeout(wait: Wait) -> Option<String> {
    let milliseconds = match wait {
        Wait::Long => return None,
        Wait::Short => SHORT_WAIT_MS,
        Wait::Together => WAIT_TOGETHER_MS,
    };
    Some(format!("SET LOCAL lock_timeout = {milliseconds}"))
}

/// Returns the statements that continue the transaction of a session that has locked tables before
/// it takes a snapshot: they import the snapshot of another session, if there is one, and shorten
/// the lock timeout.
pub(crate) fn go_on(snapshot: Option<&str>) -> String {
    let parts = snapshot.map(import).into_iter();
    let parts: Vec<_> = parts.chain(lock_timeout(Wait::Short)).collect();
    parts.join("; ")
}

fn import(snapshot: &str) -> String {
    format!(
        "SET TRANSACTION SNAPSHOT '{}'",
        snapshot.replace('\'', "''")
    )
}

/// Asks for the names of those relations that the session may lock by name.
pub(crate) fn lockable(oids: &[u32]) -> String {
    let list: Vec<String> = oids.iter().map(u32::to_string).collect();
    format!(
        "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         WHERE c.oid OPERATOR(pg_catalog.=) ANY ('{{{}}}'::pg_catalog.oid[]) AND c.relkind IN ('r', 'p') \
         AND pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY c.oid",
        list.join(",")
    )
}

/// Locks tables against statements that rewrite them, without reading the tables.
pub(crate) fn lock(names: &[String]) -> String {
    format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "))
}

/// Plans a query, which locks all relations that it reads.
pub(crate) fn plan(query: &str) -> String {
    format!("EXPLAIN (COSTS OFF) {query}")
}

/// Asks for the catalog's data of relations, both in the transaction's snapshot and now. Indexes
/// are left out.
pub(crate) fn relations(oids: &[u32]) -> String {
    let list: Vec<String> = oids.iter().map(u32::to_string).collect();
    let list = format!("'{{{}}}'::pg_catalog.oid[]", list.join(","));
    format!(
        "SELECT l.relation, i.schema, i.name, \
         coalesce(pg_catalog.quote_ident(c.relname) OPERATOR(pg_catalog.<>) i.name \
         OR pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.<>) i.schema OR c.relfilenode OPERATOR(pg_catalog.<>) \
         coalesce(pg_catalog.pg_relation_filenode(c.oid), '0'::pg_catalog.oid), true), c.xmin, \
         (SELECT h.xmin FROM pg_catalog.pg_inherits AS h \
         WHERE h.inhrelid OPERATOR(pg_catalog.=) l.relation AND h.inhparent OPERATOR(pg_catalog.=) ANY ({list}) LIMIT 1), \
         (SELECT pg_catalog.string_agg(pg_catalog.format('%s %s %s', a.attname, a.atttypid, a.atttypmod), E'\\n' \
         ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a \
         WHERE a.attrelid OPERATOR(pg_catalog.=) l.relation AND a.attnum > 0 AND NOT a.attisdropped), \
         coalesce(c.relkind OPERATOR(pg_catalog.=) 'p' OR c.relhassubclass, false) \
         FROM pg_catalog.unnest({list}) AS l (relation) \
         CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, l.relation, 0) AS i \
         LEFT JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) l.relation \
         LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v', 'S') \
         OR c.oid IS NULL AND pg_catalog.pg_get_indexdef(l.relation) IS NULL"
    )
}

/// Asks for the tables that this session has read in its transaction, each with the transaction
/// that last changed its catalog entry. The server's counters show which tables these are, since
/// functions may have released their locks already. If the counters are off, all tables are
/// returned.
pub(crate) const READ: &str = "SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname), c.xmin \
     FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
     WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,m}'::pg_catalog.\"char\"[]) \
     AND c.relpersistence OPERATOR(pg_catalog.<>) 't' AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid \
     AND (pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'off' \
     OR pg_catalog.pg_stat_get_xact_numscans(c.oid) OPERATOR(pg_catalog.>) 0 \
     OR EXISTS (SELECT FROM pg_catalog.pg_index AS x WHERE x.indrelid OPERATOR(pg_catalog.=) c.oid \
     AND pg_catalog.pg_stat_get_xact_numscans(x.indexrelid) OPERATOR(pg_catalog.>) 0))";

/// Asks for a table that this session has read in its transaction and that has changed since the
/// snapshot: its name belongs to another table now, or it has another file. The snapshot does not
/// show the indexes of a table that was made later, so such a table counts as read if the old one
/// had indexes.
pub(crate) const REPLACED: &str = "SELECT c.schema, c.name FROM (\
     SELECT pg_catalog.quote_ident(n.nspname) AS schema, pg_catalog.quote_ident(c.relname) AS name, c.oid, \
     c.relfilenode, c.relhasindex, CASE WHEN pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN \
     pg_catalog.to_regclass(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname))::pg_catalog.oid \
     ELSE c.oid END AS now FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
     WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,m}'::pg_catalog.\"char\"[]) \
     AND c.relpersistence OPERATOR(pg_catalog.<>) 't' AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid) AS c \
     WHERE (c.now OPERATOR(pg_catalog.<>) c.oid \
     OR c.relfilenode OPERATOR(pg_catalog.<>) pg_catalog.pg_relation_filenode(c.oid)) \
     AND (pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'off' \
     OR pg_catalog.pg_stat_get_xact_numscans(c.now) OPERATOR(pg_catalog.>) 0 \
     OR EXISTS (SELECT FROM pg_catalog.pg_index AS x WHERE x.indrelid OPERATOR(pg_catalog.=) c.now \
     AND pg_catalog.pg_stat_get_xact_numscans(x.indexrelid) OPERATOR(pg_catalog.>) 0) \
     OR c.relhasindex AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS k WHERE k.oid OPERATOR(pg_catalog.=) c.now)) LIMIT 1";

/// Asks which sessions hold the lock that a server process waits for, or wait for it ahead of that
/// process. Their statements are left out, since they may contain secrets.
pub(crate) fn blockers(process: i32) -> String {
    format!(
        "SELECT 'process ' || a.pid, 'of ' || a.usename, \
         nullif(pg_catalog.format('(%s)', a.application_name), '()'), 'is in the way, ' || a.state FROM pg_catalog.pg_stat_activity AS a \
         WHERE a.pid OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_blocking_pids({process})) ORDER BY a.pid LIMIT 5"
    )
}

/// Asks which sessions hold an exclusive lock on a relation of the database, or wait for one.
pub(crate) const EXCLUSIVE: &str = "SELECT DISTINCT 'process ' || a.pid, 'of ' || a.usename, \
     nullif(pg_catalog.format('(%s)', a.application_name), '()'), 'is ' || a.state \
     FROM pg_catalog.pg_stat_activity AS a JOIN pg_catalog.pg_lock_status() AS l ON l.pid OPERATOR(pg_catalog.=) a.pid \
     JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) l.database AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() \
     WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock' LIMIT 5";

/// Exports the session's snapshot, for others to import until the session's transaction ends; and
/// asks whether the session has made temporary tables, whose rows are not in the snapshot.
pub(crate) const EXPORT_SNAPSHOT: &str = "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0";

/// Sets a savepoint before a statement of our own that may fail, so that the transaction goes on.
pub(crate) const SAVEPOINT: &str = "SAVEPOINT industrydb";
/// Undoes the failed statement.
pub(crate) const ROLLBACK_TO: &str = "ROLLBACK TO SAVEPOINT industrydb";
/// Forgets the savepoint: in the caller's transaction, what comes next must not belong to it.
pub(crate) const RELEASE: &str = "RELEASE SAVEPOINT industrydb";
