//! What a query returns, asked from SQLite before it runs.

use std::collections::HashSet;
use std::ffi::c_int;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use industrydb_core::field::{fields_differ, not_convertible};
use industrydb_core::narrow::{Bind, Narrowing, Test, narrowed};
use industrydb_core::planner::no_table;
use industrydb_core::statements::Statement;
use industrydb_core::{
    Chunk, DatabaseConfig, DatabaseConnector, DescribedQuery, Error, Field, Idle, Output,
    Parameters, Phase, Request, Result, Sample, Stop, Target, Value,
};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::connect::{begin_together, failed, keeps_out};
use crate::connection::SqliteConnection;
use crate::cursor::{Cursor, Declaration};
use crate::dialect::DIALECT;
use crate::options::Options;
use crate::pages::part::taken_apart;
use crate::pages::table::{Proven, prove};
use crate::plan::{self, Shape, Table};
use crate::types::{ColumnKind, Declared};
use crate::{dialect, filter, pages, rows};

/// An SQLite file.
pub struct SqliteConnector {
    options: Options,
}

impl SqliteConnector {
    /// Refuses options that the database does not have, without a look at their values.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] that names the option.
    pub fn check_options(config: &DatabaseConfig) -> Result<()> {
        Options::check_names(config)
    }

    /// Checks what the configuration asks for; opens nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where it names no file.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_sqlite::SqliteConnector;
    ///
    /// SqliteConnector::new(&DatabaseConfig::from_uri("sqlite:///data/sales.db")?)?;
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for SqliteConnector {
    fn connect(&self, stop: &Stop) -> Result<Box<dyn industrydb_core::Connection>> {
        Ok(Box::new(SqliteConnection(
            self.options.open_to_write(stop)?,
        )))
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Box<dyn DescribedQuery>> {
        let queries = request.statements(dialect::LEXICON)?;
        let connection = self.options.open(&request.setup, stop)?;
        let mut columns: Option<Vec<Column>> = None;
        let mut declarations = Vec::new();
        for (number, query) in (1..).zip(&queries) {
            let (found, declared) = prepare(&connection, query, &request.parameters, stop)?;
            declarations.push(declared);
            columns = Some(match columns {
                None => found,
                Some(first) => merged(first, found, number)?,
            });
        }
        let mut columns = columns.ok_or_else(|| Error::configuration("there is no query"))?;
        for Column {
            field, declared, ..
        } in &mut columns
        {
            if let Some(asked) = request.asked(&field.name) {
                if !declared.may_become(asked) {
                    return Err(not_convertible(&field.name, &field.database_type, asked));
                }
                field.ask(asked.clone());
            } else if let Some(known) = request.known(&field.name) {
                field.ask(known.clone());
            }
        }
        let fields: Vec<Field> = columns.iter().map(|column| column.field.clone()).collect();
        request.reject_unknown(&fields)?;
        Ok(Box::new(SqliteQuery {
            options: self.options.clone(),
            setup: request.setup.clone(),
            queries,
            parameters: request.parameters.clone(),
            kinds: columns
                .iter()
                .map(|column| {
                    let name = &column.field.name;
                    let (asked, known) = (request.asked(name), request.known(name));
                    let kind = ColumnKind::new(column.declared, asked.cloned());
                    match known {
                        Some(known) if asked.is_none() => kind.settled_as(known.clone()),
                        _ => kind,
                    }
                })
                .collect(),
            fields,
            declarations,
            origins: columns.into_iter().map(|column| column.origin).collect(),
            idle: Idle::new(connection),
            shape: OnceLock::new(),
            table: OnceLock::new(),
            parts: AtomicUsize::new(0),
        }))
    }
}

/// A column as SQLite describes it.
struct Column {
    field: Field,
    declared: Declared,
    /// The database and table whose column it is, if it is one.
    origin: Option<(String, String)>,
}

fn prepare(
    connection: &Connection,
    query: &str,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<(Vec<Column>, Vec<Declaration>)> {
    let mut cursor = Cursor::prepare(connection, query, stop)?;
    if !cursor.is_read_only() || cursor.column_count() == 0 {
        return Err(Error::configuration(
            "the query returns no rows or would change the database: read_sql takes a SELECT, and \
             has not run this statement",
        ));
    }
    cursor.bind(parameters)?;
    let column = |index: c_int| {
        let declared_type = cursor.declared_type(index).unwrap_or_default();
        let declared = Declared::new(&declared_type);
        let column_type = ColumnKind::new(declared, None).column_type();
        let field = Field::new(&cursor.column_name(index), &declared_type, column_type);
        let origin = cursor.origin(index);
        Column {
            field,
            declared,
            origin: origin.map(|(database, table, _)| (database, table)),
        }
    };
    let columns = (0..cursor.column_count()).map(column).collect();
    Ok((columns, cursor.columns()))
}

/// The columns of the queries so far, and those of another one, which must be the same. An expression has no
/// declared type, and goes with any.
fn merged(first: Vec<Column>, other: Vec<Column>, number: usize) -> Result<Vec<Column>> {
    let goes_with = |a: &Column, b: &Column| {
        let same = a.declared == b.declared
            || a.declared == Declared::Nothing
            || b.declared == Declared::Nothing;
        a.field.name == b.field.name && same
    };
    if first.len() != other.len() || !first.iter().zip(&other).all(|(a, b)| goes_with(a, b)) {
        let fields = |columns: &[Column]| -> Vec<Field> {
            columns.iter().map(|column| column.field.clone()).collect()
        };
        return Err(fields_differ(&fields(&first), &fields(&other), number));
    }
    let declared = |(a, b): (Column, Column)| {
        let is_open = a.field.is_open || b.field.is_open;
        let mut column = match a.declared {
            Declared::Nothing => b,
            _ => a,
        };
        column.field.is_open = is_open;
        column
    };
    Ok(first.into_iter().zip(other).map(declared).collect())
}

/// A request whose columns are known.
struct SqliteQuery {
    options: Options,
    setup: Vec<String>,
    queries: Vec<String>,
    parameters: Parameters,
    fields: Vec<Field>,
    /// The columns of each query.
    declarations: Vec<Vec<Declaration>>,
    kinds: Vec<ColumnKind>,
    origins: Vec<Option<(String, String)>>,
    /// Connections between two uses; the one that described the query also reads.
    idle: Idle<Connection>,
    /// What the query does, once it is to be split.
    shape: OnceLock<Shape>,
    /// The table whose rows are split, once it is known.
    table: OnceLock<Table>,
    /// Into how many partitions the query was split.
    parts: AtomicUsize,
}

/// How a query's rows are read.
enum Way {
    /// From the pages of a table.
    Pages(Proven),
    /// By SQLite's own step loop, with the reason.
    Steps(String),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages(proven) => write!(f, "decoding the pages of {}", proven.table),
            Self::Steps(why) => write!(f, "stepping through the rows: {why}"),
        }
    }
}

impl SqliteQuery {
    /// Uses an idle connection, or a new one; after an error it is closed.
    fn with_connection<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let open = || self.options.open(&self.setup, stop);
        self.idle.with(open, |connection| work(connection))
    }

    /// Refuses a query whose columns are not those that were described: another process may have changed its tables,
    /// before the connections began together, or since, where each partition is of its own moment.
    fn reject_changed(&self, connection: &Connection, query: &str, stop: &Stop) -> Result<()> {
        let columns = |sql: &str| -> Result<Vec<Declaration>> {
            Ok(Cursor::prepare(connection, sql, stop)?.columns())
        };
        match self.declarations.as_slice() {
            // A partition's own query tells less: around a compound one, SQLite names types of another SELECT of it.
            [described] => Declaration::reject_changed(described, &columns(self.query())?),
            // Each query of a list is a partition as it is.
            all => {
                let found = columns(query)?;
                let same = all.iter().find(|described| **described == found);
                let described = same.or(all.first()).map(Vec::as_slice);
                Declaration::reject_changed(described.unwrap_or_default(), &found)
            }
        }
    }

    /// Whether a query in the place of a table is the same: PRAGMA and EXPLAIN cannot stand there, and columns whose names
    /// differ in nothing but their case, or are `true` or `false`, get other names.
    fn can_stand_in(&self, sql: &str, stop: &Stop) -> Result<bool> {
        let folded = |field: &Field| field.name.to_ascii_lowercase();
        let names: HashSet<String> = self.fields.iter().map(folded).collect();
        if names.len() < self.fields.len() {
            return Ok(false);
        }
        self.with_connection(stop, |connection| {
            match Cursor::prepare(connection, sql, stop) {
                Ok(_) => Ok(true),
                Err(Error::Query { .. }) => Ok(false),
                Err(other) => Err(other),
            }
        })
    }

    /// Whether the values of columns that are a table's all come from there.
    fn is_one_select(&self, query: &str, stop: &Stop) -> Result<bool> {
        self.with_connection(stop, |connection| {
            match Shape::new(connection, query, stop) {
                Ok(shape) => Ok(!shape.is_compound),
                Err(Error::Query { .. }) => Ok(false), // PRAGMA and EXPLAIN cannot be explained
                Err(other) => Err(other),
            }
        })
    }

    /// Whether a condition on a table's columns is one on the rows of the table that they are of.
    fn is_row_by_row(&self, query: &str, stop: &Stop) -> Result<bool> {
        self.with_connection(stop, |connection| {
            match Shape::new(connection, query, stop) {
                Ok(shape) => Ok(!shape.is_compound && !shape.makes_groups(connection, query)?),
                Err(Error::Query { .. }) => Ok(false), // as above
                Err(other) => Err(other),
            }
        })
    }

    /// Whether SQLite's order of the columns' values is that of the values as they are read. It has numbers in front of
    /// texts, whatever they mean, and texts by their characters: dates of several forms, zones or fractions have another
    /// order, and so have numbers that are texts.
    fn orders_alike(&self, query: &str, columns: &[String], stop: &Stop) -> Result<bool> {
        let is_one_select = self.is_one_select(query, stop)?;
        let is_alike = |index: usize| match self.kinds[index].declared {
            // A column that is declared so keeps no text that is an integer, and any other cannot be read as one.
            Declared::Integer => is_one_select && self.origins[index].is_some(),
            // The type is then that of the largest value, and a text or a blob is larger than all numbers.
            Declared::Nothing => true,
            _ => false,
        };
        let is_wanted = |field: &Field| columns.contains(&field.name);
        let mut wanted = self
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| is_wanted(field));
        Ok(wanted.all(|(index, field)| !field.is_converted() && is_alike(index)))
    }

    /// How a partition's rows are read.
    fn way_of(&self, connection: &Connection, query: &str, stop: &Stop) -> Result<Way> {
        let (whole, range) = taken_apart(connection, query, stop)?;
        Ok(match prove(connection, whole, range.as_ref(), stop)? {
            Ok(proven) if self.is_slower(connection, &proven, query, stop)? => {
                Way::Steps("an index leads to those of the partition".to_owned())
            }
            Ok(proven) => Way::Pages(proven),
            Err(refusal) => Way::Steps(refusal.to_string()),
        })
    }

    /// Whether an index leads to a partition's rows sooner than a pass over the whole table, of which one more is made for each
    /// partition. Of a partition that is read by itself, it is not known how many others there are.
    fn is_slower(
        &self,
        connection: &Connection,
        proven: &Proven,
        query: &str,
        stop: &Stop,
    ) -> Result<bool> {
        /// So many passes that only look at the key are taken to cost less than to step through the rows.
        const MOST_PASSES: usize = 8;
        let parts = self.parts.load(Ordering::Relaxed).max(self.queries.len());
        if !proven.passes_over_all() || (2..=MOST_PASSES).contains(&parts) {
            return Ok(false);
        }
        plan::has_search(connection, query, stop)
    }

    /// The query that is split.
    fn query(&self) -> &str {
        self.queries.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether the key is compared as a value without an affinity: its column may have several in a query of
    /// several SELECTs, and an expression has one that is not told.
    fn has_no_affinity(&self, index: usize) -> bool {
        let is_compound = self.shape.get().is_none_or(|shape| shape.is_compound);
        is_compound || self.origins[index].is_none()
    }

    /// The one table whose rows can be shared out among the partitions.
    fn table_to_split(&self, connection: &Connection, shape: &Shape, stop: &Stop) -> Result<Table> {
        let Some((database, name)) = self.origins.iter().flatten().next() else {
            return Err(no_table("no column of this one is a table's"));
        };
        let table = Table::find(connection, database, name).map_err(|e| failed(&e))?;
        let table =
            table.ok_or_else(|| no_table(&format!("the rows of {name:?} cannot be numbered")))?;
        let part = dialect::rows(
            &table.freed(self.query()),
            &table,
            Some(&Value::Integer(0)),
            None,
        );
        // In its place, a "rowid" would be no column, and SQLite would take it for a text.
        let texts_in_quotes = |allowed| {
            connection
                .set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, allowed)
                .map_err(|e| failed(&e))
        };
        texts_in_quotes(false)?;
        let prepared = Cursor::prepare(connection, &part, stop).map(drop);
        texts_in_quotes(true)?;
        match prepared {
            Err(Error::Query { message, .. }) => {
                Err(no_table(&format!("this one cannot be split ({message})")))
            }
            other => other.map(drop),
        }?;
        if !shape.is_scan_of(connection, self.query(), &table, stop)? {
            return Err(no_table("this query does more"));
        }
        Ok(table)
    }
}

impl DescribedQuery for SqliteQuery {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn queries(&self) -> &[String] {
        &self.queries
    }

    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>> {
        let sessions = partitions.min(max_sessions);
        if sessions <= 1 {
            return Ok(Some(sessions));
        }
        let mut idle = self.idle.lock();
        begin_together(&self.options, &self.setup, &mut idle, sessions, stop)?;
        Ok(Some(sessions))
    }

    fn begin_apart(&self, sessions: usize, stop: &Stop) -> Result<()> {
        let mut idle = self.idle.lock();
        let keeps_writers_out = match idle.first() {
            Some(connection) => keeps_out(connection).map_err(|e| failed(&e))?,
            None => false,
        };
        if keeps_writers_out {
            begin_together(&self.options, &self.setup, &mut idle, sessions, stop)?;
        }
        Ok(())
    }

    fn release(&self) {
        self.idle.take_all();
    }

    fn indivisible(&self, target: Target, stop: &Stop) -> Result<Option<&'static str>> {
        self.with_connection(stop, |connection| {
            let query = self.query();
            let shape = Shape::new(connection, query, stop)?;
            let key_is_column = match target {
                Target::Column(index) => self.origins[index].is_some() && !shape.is_compound,
                Target::Rows => true,
            };
            let reason = shape.indivisible(query, key_is_column);
            if reason.is_none() {
                match target {
                    Target::Column(index) => {
                        plan::reject_unnamed(connection, query, &self.fields[index].name, stop)?;
                    }
                    Target::Rows => {
                        let table = self.table_to_split(connection, &shape, stop)?;
                        let _ = self.table.set(table); // found twice, it is the same
                    }
                }
            }
            let _ = self.shape.set(shape);
            Ok(reason)
        })
    }

    fn sample(&self, target: Target, keys: usize, stop: &Stop) -> Result<Sample> {
        self.with_connection(stop, |connection| match (target, self.table.get()) {
            (Target::Column(index), _) => {
                let table = match &self.origins[index] {
                    Some((database, name)) if !self.has_no_affinity(index) => {
                        Table::find(connection, database, name).map_err(|e| failed(&e))?
                    }
                    _ => None,
                };
                let key = &self.fields[index].name;
                let (query, table) = (self.query(), table.as_ref());
                plan::sample_column(connection, query, key, table, keys, &self.parameters, stop)
            }
            (Target::Rows, Some(table)) => table.row_sample(connection, keys, stop),
            (Target::Rows, None) => Err(no_table("no table was found")),
        })
    }

    fn select(
        &self,
        target: Target,
        lower: Option<&Value>,
        upper: Option<&Value>,
    ) -> Result<String> {
        self.parts.fetch_add(1, Ordering::Relaxed);
        match (target, self.table.get()) {
            (Target::Column(index), _) => {
                let (key, bare) = (&self.fields[index].name, self.has_no_affinity(index));
                Ok(dialect::range(self.query(), key, bare, lower, upper))
            }
            (Target::Rows, Some(table)) => {
                let query = table.freed(self.query());
                Ok(dialect::rows(&query, table, lower, upper))
            }
            (Target::Rows, None) => Err(no_table("no table was found")),
        }
    }

    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement> {
        let narrowing = &Narrowing {
            largest: narrowing.largest && self.orders_alike(query, &narrowing.columns, stop)?,
            ..narrowing.clone()
        };
        let is_row_by_row = narrowing.filter.is_some() && self.is_row_by_row(query, stop)?;
        let write = |index: usize, test: &Test, bind: Bind| {
            let is_stored = is_row_by_row && self.origins[index].is_some();
            let declared = self.kinds[index].declared;
            filter::written(&self.fields[index], declared, is_stored, test, bind)
        };
        let narrowed = narrowed(&DIALECT, &self.fields, narrowing, parameters, &write);
        let statement = narrowed.select(query, narrowing.limit);
        Ok(if self.can_stand_in(&statement.0, stop)? {
            statement
        } else {
            (query.to_owned(), parameters.clone())
        })
    }

    fn open_columns(&self, stop: &Stop) -> Result<Vec<String>> {
        // The other SELECTs of a query may have values of other types than the one whose declarations it has.
        let mut is_compound = false;
        for query in &self.queries {
            is_compound |= !self.is_one_select(query, stop)?;
        }
        let is_asked = |index: usize| self.kinds[index].asked.is_some();
        let fields = self.fields.iter().enumerate();
        let open =
            fields.filter(|(index, field)| field.is_open || is_compound && !is_asked(*index));
        Ok(open.map(|(_, field)| field.name.clone()).collect())
    }

    /// Around a compound query, SQLite names the declared types of another SELECT of it: such a query is measured as it is.
    fn measuring(
        &self,
        query: &str,
        columns: &[String],
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<String> {
        if !self.is_one_select(query, stop)? {
            return Ok(query.to_owned());
        }
        let narrowing = Narrowing {
            columns: columns.to_vec(),
            ..Narrowing::default()
        };
        Ok(self.narrowed(query, &narrowing, parameters, stop)?.0)
    }

    fn read_into(&self, query: &str, output: &mut Output, stop: &Stop) -> Result<()> {
        self.with_connection(stop, |connection| {
            output.meter.reach(Phase::Connected);
            self.reject_changed(connection, query, stop)?;
            let way = self.way_of(connection, query, stop)?;
            log::debug!("{way}");
            match way {
                Way::Pages(proven) => {
                    pages::read::read(connection, &proven, &self.fields, &self.kinds, output, stop)
                }
                Way::Steps(_) => {
                    let mut cursor = Cursor::prepare(connection, query, stop)?;
                    cursor.bind(&self.parameters)?;
                    rows::step(&mut cursor, &self.fields, &self.kinds, output, stop)
                }
            }
        })
    }

    fn way(&self, query: &str, stop: &Stop) -> Result<Option<String>> {
        self.with_connection(stop, |connection| {
            Ok(Some(self.way_of(connection, query, stop)?.to_string()))
        })
    }

    fn is_stale(&self, chunk: &Chunk) -> bool {
        rows::is_stale(chunk, &self.kinds)
    }
}
