//! Checks that the relations that a session has locked have not changed since its snapshot.
//!
//! A locked relation cannot be rewritten, dropped or renamed, and a snapshot that is taken once all
//! locks are held shows its rows. Parsing a query locks the tables and views that it names;
//! planning it locks partitions, children and what inlined functions read. What other functions
//! read is locked when they run, and a partition may be attached at any time: so the locks are
//! checked once more after the rows have been received. A function that catches an error releases
//! the locks that it has taken since: if functions are called that may do that, the server's
//! counters show which tables were read.

use industrydb_core::{Error, Result, Stop};

use crate::session::connect::{Session, reject_encoding};
use crate::session::run::TextRows;
use crate::sql::control;
use crate::wire::errors::{OBJECT_NOT_IN_PREREQUISITE_STATE, unexpected};

/// Smallest OID of users' relations. Smaller ones belong to the catalog, which nobody reloads.
/// <https://www.postgresql.org/docs/current/system-catalog-initial-data.html>
const FIRST_NORMAL_OID: u32 = 16_384;

/// The relations that a session has locked, and the snapshot of the statement that asked for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) relations: Vec<u32>,
    snapshot: Snapshot,
}

/// Which transactions a statement sees, as `pg_current_snapshot` prints it: `xmin:xmax:xip,xip`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Snapshot {
    /// The first transaction that had not begun yet.
    end: u64,
    /// Transactions before it that were still running.
    running: Vec<u64>,
}

impl Locked {
    /// Reads the answer to [`control::LOCKED`].
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if an earlier statement has changed the encoding of texts. The
    /// server does not report this change if the transaction ends in the same message.
    pub(crate) fn new(rows: TextRows) -> Result<Self> {
        let read = Self::read(rows).ok_or_else(|| unexpected("the session's locks"));
        let (locked, encoding) = read?;
        reject_encoding(&encoding)?;
        Ok(locked)
    }

    /// Returns these locks with the snapshot of an earlier answer.
    pub(crate) fn with_snapshot_of(self, earlier: Self) -> Self {
        Self {
            relations: self.relations,
            snapshot: earlier.snapshot,
        }
    }

    fn read(rows: TextRows) -> Option<(Self, String)> {
        let (mut snapshot, mut encoding) = (None, None);
        let mut relations = Vec::new();
        for row in rows {
            let [shown, set, relation] = <[_; 3]>::try_from(row).ok()?;
            snapshot = Some(Snapshot::new(&shown?)?);
            encoding = set;
            if let Some(relation) = relation {
                relations.push(relation.parse().ok()?);
            }
        }
        relations.retain(|relation| *relation >= FIRST_NORMAL_OID);
        relations.sort_unstable();
        relations.dedup();
        let locked = Self {
            relations,
            snapshot: snapshot?,
        };
        Some((locked, encoding?))
    }

    /// Returns the relations that are locked now and were not locked before.
    fn since(&self, before: &Self) -> Vec<u32> {
        let is_new = |relation: &&u32| !before.relations.contains(relation);
        self.relations.iter().filter(is_new).copied().collect()
    }
}

impl Snapshot {
    fn new(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (_, end, running) = (parts.next()?, parts.next()?, parts.next()?);
        let running = running.split(',').filter(|number| !number.is_empty());
        Some(Self {
            end: end.parse().ok()?,
            running: running.map(str::parse).collect::<Result<_, _>>().ok()?,
        })
    }

    /// Returns whether the snapshot shows a transaction's changes, by the 32 bits of its number
    /// that rows keep.
    fn sees(&self, transaction: u32) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "rows keep these 32 bits")]
        let low = |number: u64| number as u32;
        let is_later = transaction.wrapping_sub(low(self.end)) < 1 << 31;
        let is_permanent = transaction < 3; // from the creation of the cluster
        is_permanent || !(is_later || self.running.iter().any(|other| low(*other) == transaction))
    }
}

/// The catalog's data of a locked relation.
struct Relation {
    oid: u32,
    /// Current schema and name.
    name: (String, String),
    /// Whether the relation has changed since the transaction's snapshot: it has another name,
    /// schema or file, or did not exist.
    is_changed: bool,
    /// Transaction that last changed the catalog entry; `None` if there is no entry.
    changed_by: Option<u32>,
    /// Transaction that made the relation a child of another of the relations, if it is one.
    attached_by: Option<u32>,
    /// Columns and their types.
    columns: Vec<String>,
    /// Whether the relation is partitioned, or has or had children.
    is_parent: bool,
}

impl Relation {
    /// Reads a row of the answer to [`control::relations`].
    fn new(row: Vec<Option<String>>) -> Option<Self> {
        let [
            oid,
            schema,
            name,
            is_changed,
            changed_by,
            attached_by,
            columns,
            is_parent,
        ] = <[Option<String>; 8]>::try_from(row).ok()?;
        let columns = columns.unwrap_or_default();
        let transaction = |number: Option<String>| number.map(|n| n.parse()).transpose().ok();
        Some(Self {
            oid: oid?.parse().ok()?,
            name: (shown(schema), shown(name)),
            is_changed: is_changed? == "t",
            changed_by: transaction(changed_by)?,
            attached_by: transaction(attached_by)?,
            columns: columns.split('\n').map(str::to_owned).collect(),
            is_parent: is_parent? == "t",
        })
    }

    /// Returns the schema and the name for a message.
    fn quoted(&self) -> String {
        let (schema, name) = &self.name;
        format!("{schema:?}.{name:?}")
    }
}

/// Returns a name without the quotes with which the server writes it in statements.
fn shown(written: Option<String>) -> String {
    unquoted(&written.unwrap_or_default())
}

fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\""))
}

/// Asks for the catalog's data of relations; indexes are left out.
fn looked_up(session: &mut Session, relations: &[u32], stop: &Stop) -> Result<Vec<Relation>> {
    let rows = session.rows(&control::relations(relations), &[], stop)?;
    let found = rows.into_iter().map(Relation::new);
    let found: Option<_> = found.collect();
    found.ok_or_else(|| unexpected("the locked relations"))
}

/// Returns an error if a locked relation has changed since the snapshot, which would not show its
/// rows.
pub(crate) fn check_unchanged(session: &mut Session, locked: &Locked, stop: &Stop) -> Result<()> {
    let relations = looked_up(session, &locked.relations, stop)?;
    match relations.iter().find(|relation| relation.is_changed) {
        Some(relation) => Err(rewritten(relation)),
        None => Ok(()),
    }
}

/// Returns an error if a locked relation may have changed since a snapshot that another session
/// holds. `held` are the relations that the holder has locked, if it is ours.
///
/// # Errors
///
/// Besides a change, [`Error::Configuration`] if nothing shows that a table has the same partitions
/// as in the snapshot, or that a table stays as it is.
pub(crate) fn check_held(
    session: &mut Session,
    locked: &Locked,
    held: Option<&[u32]>,
    stop: &Stop,
) -> Result<()> {
    let relations = looked_up(session, &locked.relations, stop)?;
    if let Some(relation) = relations.iter().find(|relation| relation.is_changed) {
        return Err(rewritten(relation));
    }
    let Some(held) = held else {
        return match relations.iter().find(|relation| relation.is_parent) {
            Some(parent) => Err(Error::configuration(format!(
                "{} has partitions or children, and the snapshot was exported by another program, which may not \
                 keep them as they are: use hold_snapshot",
                parent.quoted()
            ))),
            None => Ok(()),
        };
    };
    let is_held = |relation: &&Relation| held.binary_search(&relation.oid).is_ok();
    let (held, others): (Vec<&Relation>, Vec<&Relation>) = relations.iter().partition(is_held);
    match others.first() {
        Some(other) if held.iter().any(|parent| may_have(parent, other)) => Err(attached(other)),
        Some(other) => Err(Error::configuration(format!(
            "the held snapshot has no lock of {}: give hold_snapshot this query or this table",
            other.quoted()
        ))),
        None => Ok(()),
    }
}

/// Returns the relations that were locked between two looks at a session's locks, and those that
/// were locked before.
fn newly_locked(
    session: &mut Session,
    before: &Locked,
    after: &Locked,
    stop: &Stop,
) -> Result<(Vec<Relation>, Vec<Relation>)> {
    let new = after.since(before);
    if new.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let all = looked_up(session, &after.relations, stop)?;
    Ok(all
        .into_iter()
        .partition(|relation| new.contains(&relation.oid)))
}

/// Checks what a statement with its own snapshot has locked while it ran.
pub(crate) fn check_statement(
    session: &mut Session,
    before: &Locked,
    after: &Locked,
    stop: &Stop,
) -> Result<()> {
    let (new, held) = newly_locked(session, before, after, stop)?;
    for relation in &new {
        let sees = |transaction: u32| before.snapshot.sees(transaction);
        if relation.attached_by.is_some_and(|by| !sees(by)) {
            return Err(attached(relation));
        }
        if !relation.changed_by.is_some_and(sees) {
            return Err(rewritten(relation));
        }
        if held
            .iter()
            .any(|other| is_namesake(relation, other) && other.columns != relation.columns)
        {
            return Err(other_table(relation));
        }
    }
    Ok(())
}

/// Checks what a partition's statement has locked while it ran, with a snapshot that other sessions
/// share. `planned` returns the names of the relations in the whole query's plan.
pub(crate) fn check_partition(
    session: &mut Session,
    before: &Locked,
    after: &Locked,
    planned: impl FnOnce(&mut Session) -> Result<Vec<(String, String)>>,
    stop: &Stop,
) -> Result<()> {
    let (new, held) = newly_locked(session, before, after, stop)?;
    if new.is_empty() {
        return Ok(());
    }
    let planned = planned(session)?;
    for relation in &new {
        if relation.is_changed {
            return Err(rewritten(relation));
        }
        // The plan that was run may have had a child that a new plan no longer has.
        if planned.contains(&relation.name) || held.iter().any(|other| may_have(other, relation)) {
            return Err(attached(relation));
        }
        if held.iter().any(|other| is_namesake(relation, other)) {
            return Err(other_table(relation));
        }
    }
    Ok(())
}

/// Checks the tables that a statement with its own snapshot has read, by the answer to
/// [`control::READ`].
pub(crate) fn check_read(before: &Locked, read: TextRows) -> Result<()> {
    for row in read {
        let [schema, name, changed_by] =
            <[_; 3]>::try_from(row).map_err(|_| unexpected("the tables that were read"))?;
        let changed_by = changed_by.and_then(|number| number.parse().ok());
        if !changed_by.is_some_and(|by| before.snapshot.sees(by)) {
            return Err(was_rewritten(&(shown(schema), shown(name))));
        }
    }
    Ok(())
}

/// Returns an error if a table that the session has read has changed since the snapshot, even if
/// its lock is gone.
pub(crate) fn check_replaced(session: &mut Session, stop: &Stop) -> Result<()> {
    let mut rows = session.rows(control::REPLACED, &[], stop)?.into_iter();
    let Some(row) = rows.next() else {
        return Ok(());
    };
    let mut names = row.into_iter().map(shown);
    let name = (names.next(), names.next());
    Err(was_rewritten(&(
        name.0.unwrap_or_default(),
        name.1.unwrap_or_default(),
    )))
}

/// Returns whether a relation may have another one as a child, which then has all of its columns.
fn may_have(parent: &Relation, child: &Relation) -> bool {
    let is_in_child = |column: &String| child.columns.contains(column);
    parent.is_parent && parent.columns.iter().all(is_in_child)
}

fn is_namesake(relation: &Relation, other: &Relation) -> bool {
    relation.name.1 == other.name.1 && relation.name.0 != other.name.0
}

fn rewritten(relation: &Relation) -> Error {
    was_rewritten(&relation.name)
}

fn was_rewritten(name: &(String, String)) -> Error {
    changed(
        name,
        "was rewritten, made or renamed after the snapshot, which has not its rows",
    )
}

fn attached(relation: &Relation) -> Error {
    changed(
        &relation.name,
        "became a partition or child of a table of the query while that was read",
    )
}

fn other_table(relation: &Relation) -> Error {
    changed(
        &relation.name,
        "came in the place of a table of the same name while the query was read",
    )
}

fn changed((schema, name): &(String, String), what: &str) -> Error {
    Error::Query {
        message: format!("{schema:?}.{name:?} {what}; read again"),
        code: Some(OBJECT_NOT_IN_PREREQUISITE_STATE.to_owned()),
        partition: None,
        is_transient: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_had_ended_when_it_was_taken() {
        let snapshot = Snapshot::new("100:105:101,103").expect("a snapshot");
        for (transaction, is_seen) in [
            (1, true),
            (99, true),
            (101, false),
            (102, true),
            (103, false),
            (104, true),
            (105, false),
            (4_000_000_000, true), // from before the numbers started again
        ] {
            assert_eq!(snapshot.sees(transaction), is_seen, "{transaction}");
        }
        let wrapped = Snapshot::new("4294967300:4294967301:4294967300").expect("a snapshot");
        assert!(!wrapped.sees(4) && !wrapped.sees(5) && wrapped.sees(3) && wrapped.sees(u32::MAX));
        for text in ["", "1:2", "a:b:c", "1:2:x"] {
            assert_eq!(Snapshot::new(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_those_that_a_plan_tells() {
        for (written, name) in [("t", "t"), ("\"set up\"", "set up"), ("\"a\"\"b\"", "a\"b")] {
            assert_eq!(unquoted(written), name);
        }
    }

    #[test]
    fn new_locks_are_those_that_were_not_there_before() {
        let locked = |relations: &[&str]| {
            let rows = relations.iter().map(|oid| Some((*oid).to_owned()));
            let rows = rows.chain([None]);
            let text = |text: &str| Some(text.to_owned());
            let row = |oid| vec![text("3:3:"), text("UTF8"), oid];
            Locked::new(rows.map(row).collect()).expect("locks")
        };
        let after = locked(&["19000", "17000", "17000", "1259"]);
        assert_eq!(after.relations, [17_000, 19_000]);
        assert_eq!(after.since(&locked(&["19000"])), [17_000]);
        Locked::new(Vec::new()).expect_err("no snapshot");
    }
}
