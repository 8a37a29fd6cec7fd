//! Inserts the rows of a frame into a table, by a binary COPY.
//!
//! The column types are looked up in the transaction that writes, and compared with the types under
//! the table's lock: the same bytes may be another value in another type.
//!
//! COPY writes straight into the table if each column has an [`Encoding`] for its type there.
//! Otherwise, and if rows may conflict with those of the table, COPY writes into a temporary table
//! of the session, from which the server inserts the rows: it then reads texts as literals of the
//! column's type, and casts other values as in any assignment.

use industrydb_core::statements::{places, reject_missing_keys};
use industrydb_core::{ColumnType, Error, Frame, OnConflict, Result, Stop};

use crate::encode::Encoding;
use crate::session::catalog::Catalog;
use crate::session::connect::Session;
use crate::sql::dialect::{DIALECT, quoted};
use crate::sql::statements;
use crate::types::{Cast, Decoding, innermost, type_name};
use crate::wire::Format;
use crate::wire::errors::unexpected;
use crate::write::copy::{Column, completed, copy};
use crate::write::target;

/// Writes all rows, or none; returns the number of rows that the server says it has written.
pub(crate) fn insert(
    session: &mut Session,
    table: &str,
    frame: &Frame,
    on_conflict: OnConflict,
    stop: &Stop,
) -> Result<u64> {
    let target = DIALECT.target(table, frame.columns())?;
    let is_own = !session.in_transaction;
    let (begin, commit, rollback) = if is_own {
        (DIALECT.begin, DIALECT.commit, DIALECT.rollback)
    } else {
        (
            "SAVEPOINT industrydb_rows",
            "RELEASE industrydb_rows",
            "ROLLBACK TO industrydb_rows",
        )
    };
    let written =
        write(session, begin, table, &target, frame, on_conflict, stop).and_then(|rows| {
            match session.rows(commit, &[], stop) {
                Err(error) if is_own => Err(error.of_lasting_work()),
                committed => committed.map(|_| rows),
            }
        });
    if written.is_err() && !session.busy && session.in_transaction {
        match session.rows(rollback, &[], stop) {
            Ok(_) | Err(Error::Query { .. }) => {} // only the first error counts
            Err(other) => return Err(other),
        }
    }
    written
}

/// Begins a transaction or a savepoint, and writes all rows in it.
fn write(
    session: &mut Session,
    begin: &str,
    table: &str,
    target: &str,
    frame: &Frame,
    on_conflict: OnConflict,
    stop: &Stop,
) -> Result<u64> {
    let Table {
        columns,
        keys,
        takes_copy,
    } = locked(session, begin, table, target, frame, stop)?;
    let is_direct = takes_copy && !columns.iter().any(|column| column.is_cast);
    if on_conflict == OnConflict::Error && is_direct {
        return copy(session, target, &columns, frame, stop);
    }
    if on_conflict == OnConflict::Replace {
        let given: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        reject_missing_keys(table, &keys, &given)?;
    }
    let stage = statements::stage(table)?;
    staged(session, &stage, target, &columns, frame, on_conflict, stop)
}

/// Looks a table up and locks it: the result holds until the transaction ends.
fn locked(
    session: &mut Session,
    begin: &str,
    table: &str,
    target: &str,
    frame: &Frame,
    stop: &Stop,
) -> Result<Table> {
    let columns = statements::columns(target);
    let found = look_up(session, &format!("{begin}; {columns}"), table, frame, stop)?;
    if found.changed(session, target, stop)?.is_none() {
        return Ok(found);
    }
    // Another session altered the table before it was locked. A second lookup sees the change,
    // unless this transaction's snapshot is older.
    let found = look_up(session, &columns, table, frame, stop)?;
    let Some((column, oid)) = found.changed(session, target, stop)? else {
        return Ok(found);
    };
    let (name, was) = (column.name.clone(), column.type_name.clone());
    let told = session.rows(&statements::type_of(oid), &[], stop)?;
    let is = told.into_iter().flatten().flatten().next();
    Err(Error::Query {
        message: format!(
            "column {name:?} of table {table} is {was} in this transaction's snapshot, and {} since: end the \
             transaction, and insert in a new one",
            is.unwrap_or_default()
        ),
        code: None,
        partition: None,
        is_transient: false,
    })
}

/// The server's description of a table.
struct Table {
    /// Columns that the frame has values for.
    columns: Vec<Column>,
    /// Names of the primary key's columns.
    keys: Vec<String>,
    /// Whether COPY can write into the table.
    takes_copy: bool,
}

impl Table {
    /// Locks the table; returns a column that has another type now, and that type, if there is one.
    fn changed(
        &self,
        session: &mut Session,
        target: &str,
        stop: &Stop,
    ) -> Result<Option<(&Column, u32)>> {
        let names: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
        let types = target::lock(session, target, &names, stop)?;
        let mut columns = self.columns.iter().zip(types);
        Ok(columns.find(|(column, oid)| column.oid != *oid))
    }
}

/// Looks a table up by a statement that ends with [`statements::columns`], and the types of the
/// columns that the frame has values for.
fn look_up(
    session: &mut Session,
    sql: &str,
    table: &str,
    frame: &Frame,
    stop: &Stop,
) -> Result<Table> {
    let rows = session.rows(sql, &[], stop)?;
    let mut takes_copy = true;
    let found = rows.into_iter().map(|row| {
        let [name, oid, type_name, is_key, is_copied, declared] =
            <[Option<String>; 6]>::try_from(row).ok()?;
        takes_copy &= is_copied? == "t";
        let oid = oid?.parse::<u32>().ok()?;
        Some((name?, oid, type_name?, declared?, is_key? == "t"))
    });
    let found: Vec<_> = found
        .collect::<Option<_>>()
        .ok_or_else(|| unexpected("the columns of a table"))?;
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let places = places(&DIALECT, table, frame.columns(), &names)?;
    let oids = places.iter().map(|place| found[*place].1).collect();
    let catalog = Catalog::look_up(oids, session, stop)?;
    let column = |(place, (_, from)): (&usize, &(String, ColumnType))| {
        let (name, oid, to, declared, is_key) = &found[*place];
        let on_the_way = quoted(name);
        let mut is_cast = false;
        if matches!(from, ColumnType::Duration { .. }) && has_no_hours(declared) {
            return Err(Error::configuration(format!(
                "column {name:?} is {declared}, which has no hours, so that a duration would become 0: use an interval"
            )));
        }
        let (encoding, stage, expression) = if let Some(encoding) = catalog.encoding(from, *oid) {
            // Staged with the type and collation of the table, keys are equal exactly if they are
            // equal in the table.
            (encoding, declared.clone(), on_the_way)
        } else {
            let decoding = catalog.entry_of(*oid, -1).decoding;
            if is_shifted(from, &decoding) {
                return Err(Error::configuration(format!(
                    "column {name:?} is {to}, and the data are {from}: which point in time a reading of the clock \
                     is depends on the time zone, so say it by dt.replace_time_zone or dt.convert_time_zone"
                )));
            }
            let natural = natural(from).filter(|_| is_castable(from, &decoding));
            let (stage, encoding) = natural.ok_or_else(|| {
                Error::configuration(format!(
                    "column {name:?} is {to}, which cannot be made of {from}"
                ))
            })?;
            // A type's own input function reads literals, and arrays of them.
            let cast = match from {
                ColumnType::String | ColumnType::List(_) => {
                    format!(
                        "{on_the_way}::{}",
                        catalog.literal(*oid).unwrap_or_else(|| to.clone())
                    )
                }
                _ => on_the_way,
            };
            is_cast = true;
            (encoding, stage, cast)
        };
        Ok(Column {
            name: name.clone(),
            oid: *oid,
            type_name: to.clone(),
            is_key: *is_key,
            encoding,
            stage,
            is_cast,
            expression,
        })
    };
    let columns = places.iter().zip(frame.columns()).map(column);
    let columns = columns.collect::<Result<_>>()?;
    let keys = found.iter().filter(|(.., is_key)| *is_key);
    Ok(Table {
        columns,
        keys: keys.map(|(name, ..)| name.clone()).collect(),
        takes_copy,
    })
}

/// Returns whether an interval has fields that a number of microseconds has no part in.
fn has_no_hours(declared: &str) -> bool {
    matches!(
        declared,
        "interval year" | "interval month" | "interval year to month" | "interval day"
    )
}

/// Returns whether the server would use a time zone of its own to convert one type to the other.
fn is_shifted(from: &ColumnType, to: &Decoding) -> bool {
    use ColumnType as T;
    let from = innermost(from).0;
    let mut to = to;
    while let Decoding::List { element, .. } = to {
        to = element;
    }
    match to {
        Decoding::Timestamp { utc: true } => {
            matches!(from, T::Date | T::Datetime { utc: false, .. })
        }
        Decoding::Timestamp { utc: false } | Decoding::Date | Decoding::Time => {
            matches!(from, T::Datetime { utc: true, .. })
        }
        _ => false,
    }
}

/// Returns whether the server may convert one type to the other. It may convert texts, which its
/// types read, and numbers. It may not convert lists (except of texts, or to vectors), since it
/// would turn them into text too; nor temporal values, which might lose their date or change their
/// zone; nor bytes.
fn is_castable(from: &ColumnType, to: &Decoding) -> bool {
    use ColumnType as T;
    match from {
        T::List(_) => {
            let is_vector = matches!(to, Decoding::Cast(Cast::To("float4[]"), _)); // of pgvector
            let is_list = matches!(to.column_type(), T::List(_));
            is_vector || (is_list && *innermost(from).0 == T::String)
        }
        T::Date | T::Time | T::Datetime { .. } | T::Duration { .. } | T::Binary => false,
        _ => true,
    }
}

/// Returns the PostgreSQL type that stores a frame's column by default, and the encoding for it.
fn natural(from: &ColumnType) -> Option<(String, Encoding)> {
    let name = type_name(from)?;
    let oid = crate::types::built_in_oid(&name)?;
    Some((name, Catalog::empty().encoding(from, oid)?))
}

/// Adds to an error of missing privileges which one is needed, and when none is.
fn not_staged(error: Error) -> Error {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    if error.code() == Some(INSUFFICIENT_PRIVILEGE) {
        error.context(
            "these rows are sorted out in a temporary table first, which takes GRANT TEMPORARY ON DATABASE … TO this user; \
             rows without on_conflict, into columns of types that PostgreSQL reads in binary form, need none",
        )
    } else {
        error
    }
}

/// Copies rows into a temporary table, and lets the server insert them into their table.
fn staged(
    session: &mut Session,
    stage: &str,
    target: &str,
    columns: &[Column],
    frame: &Frame,
    on_conflict: OnConflict,
    stop: &Stop,
) -> Result<u64> {
    let listed = |of: &dyn Fn(&Column) -> String, among: &dyn Fn(&&Column) -> bool| {
        let parts: Vec<String> = columns.iter().filter(among).map(of).collect();
        parts.join(", ")
    };
    let all = |_: &&Column| true;
    let types = listed(
        &|column| format!("{} {}", quoted(&column.name), column.stage),
        &all,
    );
    let staging = format!("CREATE TEMPORARY TABLE {stage} ({types})");
    session.rows(&staging, &[], stop).map_err(not_staged)?;
    copy(session, stage, columns, frame, stop)?;
    let names = listed(&|column| quoted(&column.name), &all);
    let expressions = listed(&|column| column.expression.clone(), &all);
    let keys = listed(&|column| quoted(&column.name), &|column| column.is_key);
    let key_expressions = listed(&|column| column.expression.clone(), &|column| column.is_key);
    let changes = listed(
        &|column| {
            let name = quoted(&column.name);
            format!("{name} = EXCLUDED.{name}")
        },
        &|column| !column.is_key,
    );
    let change = match changes.as_str() {
        "" => "NOTHING".to_owned(),
        changes => format!("UPDATE SET {changes}"),
    };
    let (distinct, order, conflict) = match on_conflict {
        OnConflict::Error => (String::new(), String::new(), String::new()),
        OnConflict::Ignore => {
            let conflict = " ON CONFLICT DO NOTHING".to_owned();
            (String::new(), String::new(), conflict)
        }
        // Of rows with the same key, the last one counts: `ctid` rises in the order in which they
        // came.
        OnConflict::Replace => (
            format!("DISTINCT ON ({key_expressions}) "),
            format!(" ORDER BY {key_expressions}, ctid DESC"),
            format!(" ON CONFLICT ({keys}) DO {change}"),
        ),
    };
    let rows = format!("SELECT {distinct}{expressions} FROM {stage}{order}");
    let sql = format!("INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE {rows}{conflict}");
    session.start(&sql, &[], Format::Text, stop)?;
    let written = completed(session, stop)?;
    session.rows(&format!("DROP TABLE {stage}"), &[], stop)?;
    Ok(written)
}
