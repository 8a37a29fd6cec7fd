//! Rows of a frame into a table, by a binary COPY.
//!
//! The types of the columns are looked up in the transaction that writes, and compared with those
//! under the table's lock: a binary value of one type may be another value of another type.
//!
//! COPY writes straight into the table where each column has an [`Encoding`] for the type that is
//! there. Otherwise, and where rows may conflict with those of the table, it writes into a
//! temporary table of the session, and the server makes an INSERT of it: then it reads texts as its
//! types' literals, and casts the rest as in any assignment.

use industrydb_core::statements::{places, reject_missing_keys};
use industrydb_core::{ColumnType, Error, Frame, OnConflict, Result, Stop};

use crate::encode::Encoding;
use crate::session::catalog::Catalog;
use crate::session::connect::Session;
use crate::session::run::Format;
use crate::sql::dialect::{DIALECT, quoted};
use crate::sql::statements;
use crate::sql::statements::STAGE;
use crate::types::{Cast, Decoding, innermost, type_name};
use crate::wire::errors::unexpected;
use crate::write::copy::{Column, completed, copy};
use crate::write::target;

/// Writes all rows, or none; returns how many the server says it has written.
pub(crate) fn insert(
    session: &mut Session,
    table: &str,
    frame: &Frame,
    on_conflict: OnConflict,
    stop: &Stop,
) -> Result<u64> {
    let target = DIALECT.target(table, frame.columns())?;
    let (begin, commit, rollback) = if session.in_transaction {
        (
            "SAVEPOINT industrydb_rows",
            "RELEASE industrydb_rows",
            "ROLLBACK TO industrydb_rows",
        )
    } else {
        (DIALECT.begin, DIALECT.commit, DIALECT.rollback)
    };
    let written =
        write(session, begin, table, &target, frame, on_conflict, stop).and_then(|rows| {
            session.rows(commit, &[], stop)?;
            Ok(rows)
        });
    if written.is_err() && !session.busy && session.in_transaction {
        match session.rows(rollback, &[], stop) {
            Ok(_) | Err(Error::Query { .. }) => {} // why it had to be is what counts
            Err(other) => return Err(other),
        }
    }
    written
}

/// Begins a part of a transaction, and writes all rows in it.
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
    staged(session, target, &columns, frame, on_conflict, stop)
}

/// Looks a table up, and locks it: what is returned holds until the transaction ends.
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
    // Somebody altered the table before it was locked. A second look sees that, unless the snapshot
    // is an older one.
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

/// What the server says of a table.
struct Table {
    /// The frame's columns.
    columns: Vec<Column>,
    /// The names of its primary key.
    keys: Vec<String>,
    /// Whether COPY writes into it.
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

/// Asks for a table by a statement that ends with [`statements::columns`], and for the types of the
/// frame's columns there.
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
        let (encoding, stage, expression) = if let Some(encoding) = catalog.encoding(from, *oid) {
            // As the table has them, keys are the same that are the same there.
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
            // Literals, and arrays of them, are read by the type's own function.
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

/// Whether the server would take a time zone of its own to make one type of the other.
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

/// Whether the server may make one type of the other: of texts, which its types read, and of
/// numbers. Of a list, it would also make a text; and of times, others without a date or in another
/// zone.
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

/// The type that a column has by itself, and how its values are written then.
fn natural(from: &ColumnType) -> Option<(String, Encoding)> {
    let name = type_name(from)?;
    let oid = crate::types::built_in_oid(&name)?;
    Some((name, Catalog::empty().encoding(from, oid)?))
}

/// Says which right is needed, and who can do without.
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

/// Writes rows into a temporary table, and lets the server put them where they belong.
fn staged(
    session: &mut Session,
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
    let staging = format!("CREATE TEMPORARY TABLE {STAGE} ({types})");
    session.rows(&staging, &[], stop).map_err(not_staged)?;
    copy(session, STAGE, columns, frame, stop)?;
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
        // Of rows with the same key the last one counts: they lie in the order in which they came.
        OnConflict::Replace => (
            format!("DISTINCT ON ({key_expressions}) "),
            format!(" ORDER BY {key_expressions}, ctid DESC"),
            format!(" ON CONFLICT ({keys}) DO {change}"),
        ),
    };
    let rows = format!("SELECT {distinct}{expressions} FROM {STAGE}{order}");
    let sql = format!("INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE {rows}{conflict}");
    session.start(&sql, &[], Format::Text, stop)?;
    let written = completed(session, stop)?;
    session.rows(&format!("DROP TABLE {STAGE}"), &[], stop)?;
    Ok(written)
}
