//! All that core knows of a database.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::chunk::Chunk;
use crate::connection::Connection;
use crate::narrow::Narrowing;
use crate::output::{Meter, Output};
use crate::planner::{Sample, Target};
use crate::query::{Lexicon, single_statement};
use crate::statements::Statement;
use crate::types::ColumnType;
use crate::value::{Parameters, Value};
use crate::{CellError, Error, Result, Stop};

/// The longest answer, in bytes, that a server may give to a question of our own: what columns and types are, how large a
/// table is, a sample of keys. The rows of a query are bounded by nobody.
pub const ANSWER_BYTES: usize = 128 << 20;

/// One column of a query's result, as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name in the result.
    pub name: String,
    /// The type's name in the database, for messages.
    pub database_type: String,
    /// The type that the column becomes.
    pub column_type: ColumnType,
    /// The type that the connector's type table picked, which the keys have that the column is cut by.
    pub own_type: ColumnType,
    /// Whether the values decide which type the column becomes.
    pub is_open: bool,
}

impl Field {
    /// A column of the type that the type table picked.
    pub fn new(name: &str, database_type: &str, column_type: ColumnType) -> Self {
        Self {
            name: name.to_owned(),
            database_type: database_type.to_owned(),
            own_type: column_type.clone(),
            is_open: column_type.is_open(),
            column_type,
        }
    }

    /// The same column as the type that the caller asks for.
    pub fn ask(&mut self, column_type: ColumnType) {
        self.column_type = column_type;
        self.is_open = false;
    }

    /// Whether the caller asks for a type that is not the type table's.
    pub fn is_converted(&self) -> bool {
        self.column_type != self.own_type
    }
}

/// Refuses the columns of a further query, counted from 1, whose names or types are not those of the
/// first.
///
/// # Errors
///
/// [`Error::Configuration`] that shows both.
pub fn reject_other_fields(first: &[Field], other: &[Field], number: usize) -> Result<()> {
    let key = |field: &Field| (field.name.clone(), field.column_type.clone());
    if first.iter().map(key).eq(other.iter().map(key)) {
        Ok(())
    } else {
        Err(fields_differ(first, other, number))
    }
}

/// The error for a query, counted from 1, whose columns are not those of the first.
pub fn fields_differ(first: &[Field], other: &[Field], number: usize) -> Error {
    let column = |field: &Field| match field.database_type.as_str() {
        "" => format!("{:?} {}", field.name, field.column_type),
        name => format!("{:?} {} ({name})", field.name, field.column_type),
    };
    let shown = |fields: &[Field]| fields.iter().map(column).collect::<Vec<_>>().join(", ");
    Error::configuration(format!(
        "the queries of the list must have the same columns\nquery 1 has {}\nquery {number} has {}",
        shown(first),
        shown(other)
    ))
}

/// What is to be read.
#[derive(Debug, Clone)]
pub struct Request {
    /// One query, or several whose results are put under one another.
    pub queries: Vec<String>,
    /// The values that are bound to the parameters of each query.
    pub parameters: Parameters,
    /// Statements that every session runs first.
    pub setup: Vec<String>,
    /// Whether all sessions are to see one state of the database.
    pub snapshot: bool,
    /// The types that the caller asks for, by the names of their columns.
    pub overrides: Vec<(String, ColumnType)>,
    /// The types that columns are known to need, found before. Each of these columns has that type, and a value that does
    /// not fit is an error.
    pub settled: Vec<(String, ColumnType)>,
    /// Which columns and rows are wanted, if not all.
    pub narrowing: Option<Narrowing>,
}

impl Request {
    /// The queries, without what may stand behind a statement.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where one is no single statement.
    pub fn statements(&self, lexicon: Lexicon) -> Result<Vec<String>> {
        let statement = |query: &String| single_statement(query, lexicon).map(Into::into);
        self.queries.iter().map(statement).collect()
    }

    /// The request for the wanted columns and rows alone.
    ///
    /// # Errors
    ///
    /// When the queries cannot be described.
    pub fn narrowed(
        &self,
        connector: &dyn DatabaseConnector,
        stop: &Stop,
    ) -> Result<Cow<'_, Self>> {
        let Some(narrowing) = &self.narrowing else {
            return Ok(Cow::Borrowed(self));
        };
        let query = connector.describe(self, stop)?;
        let mut narrowed = Self {
            queries: Vec::new(),
            narrowing: None,
            ..self.clone()
        };
        for sql in query.queries() {
            let (sql, parameters) = query.narrowed(sql, narrowing, &self.parameters, stop)?;
            log::debug!("reading no more than {sql}");
            narrowed.queries.push(sql);
            narrowed.parameters = parameters; // the same for each
        }
        let stays =
            |name: &String| narrowing.columns.is_empty() || narrowing.columns.contains(name);
        narrowed.overrides.retain(|(name, _)| stays(name));
        Ok(Cow::Owned(narrowed))
    }

    /// The type that the caller asks for in place of the type table's.
    pub fn asked(&self, column: &str) -> Option<&ColumnType> {
        type_of(&self.overrides, column)
    }

    /// The type that a column is known to need.
    pub fn known(&self, column: &str) -> Option<&ColumnType> {
        type_of(&self.settled, column)
    }

    /// Refuses types that are asked for columns that are not there.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] that names both.
    pub fn reject_unknown(&self, fields: &[Field]) -> Result<()> {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let asked = self.overrides.iter().map(|(name, _)| name.as_str());
        let unknown: Vec<&str> = asked.filter(|name| !names.contains(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "schema_overrides names {unknown:?}, and the query's columns are {names:?}"
        )))
    }
}

fn type_of<'a>(types: &'a [(String, ColumnType)], column: &str) -> Option<&'a ColumnType> {
    let found = types.iter().find(|(name, _)| name == column);
    found.map(|(_, column_type)| column_type)
}

/// Refuses columns whose types are not the settled ones: the table has changed since.
///
/// # Errors
///
/// [`Error::Conversion`] that shows both types.
pub(crate) fn reject_changed_types(request: &Request, fields: &[Field]) -> Result<()> {
    for field in fields {
        if request.asked(&field.name).is_none()
            && let Some(known) = request.known(&field.name)
            && field.column_type != *known
        {
            let reason = format!(
                "the column is {} now, and was {known} when its type was settled",
                field.column_type
            );
            let remedy = "plan the read again, or ask for a type by schema_overrides";
            let error = CellError::new(None, reason, remedy);
            return Err(error.at(&field.name, &field.database_type, None));
        }
    }
    Ok(())
}

/// Refuses columns that are not those whose types are settled, where there are any: the table has changed since.
///
/// # Errors
///
/// [`Error::Query`] that shows both.
pub(crate) fn reject_changed_names(request: &Request, fields: &[Field]) -> Result<()> {
    let now: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let then: Vec<&str> = request
        .settled
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    if then.is_empty() || now == then {
        return Ok(());
    }
    Err(Error::Query {
        message: format!(
            "the query's columns have changed since it was planned: they were {then:?}, and are {now:?}; \
             plan the read again"
        ),
        code: None,
        partition: None,
    })
}

/// Refuses columns of the same name, which a frame cannot have.
///
/// # Errors
///
/// [`Error::Configuration`] that lists them.
pub fn reject_duplicate_names(fields: &[Field]) -> Result<()> {
    let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    let mut twice: Vec<&str> = names
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    twice.dedup();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "the query's result has several columns named {twice:?}; a frame needs distinct names, so \
         give them aliases with AS"
    )))
}

/// The error for a column that no value of the asked type can come from.
pub fn not_convertible(column: &str, database_type: &str, asked: &ColumnType) -> Error {
    let shown = match database_type {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    Error::configuration(format!(
        "column {column:?}{shown} cannot be read as {asked}, which schema_overrides asks for: convert it in \
         the query"
    ))
}

/// A database that can be read.
pub trait DatabaseConnector: Send + Sync {
    /// Asks the database for the names and types of the queries' columns, without running them, and
    /// picks a decoder for each.
    ///
    /// # Errors
    ///
    /// When no session can be opened, the database refuses a query, a query is no single statement
    /// that returns rows, or the queries' columns differ.
    fn describe(&self, request: &Request, stop: &Stop) -> Result<Box<dyn DescribedQuery>>;

    /// Opens a session for the caller to keep, which may also change the database.
    ///
    /// # Errors
    ///
    /// When no session can be opened.
    fn connect(&self, stop: &Stop) -> Result<Box<dyn Connection>>;
}

/// A request whose columns are known: what the planner asks and the workers read.
///
/// Workers share it; each [`read`](DescribedQuery::read) uses a session of its own. Where a single query
/// is spoken of, it is the first.
pub trait DescribedQuery: Send + Sync {
    /// The columns, in order.
    fn fields(&self) -> &[Field];

    /// The texts of the queries, without what may stand behind a statement.
    fn queries(&self) -> &[String];

    /// Opens the sessions that read `partitions` partitions, up to `max_sessions` at the same time:
    /// each holds all locks of the whole query, and all see one state of the database. Returns how
    /// many partitions can be read at the same time; `None` where the query's columns are no longer
    /// those that were described.
    ///
    /// # Errors
    ///
    /// When the database cannot give one state or its locks, or fails.
    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>>;

    /// Prepares up to `sessions` sessions that read at the same time, where they need not see one state of
    /// the database: takes what they would otherwise wait for while others of them hold it.
    ///
    /// # Errors
    ///
    /// When the database cannot give it, or fails.
    fn begin_apart(&self, _sessions: usize, _stop: &Stop) -> Result<()> {
        Ok(())
    }

    /// Gives back the session of a worker that has no more partitions to read.
    fn retire(&self) {}

    /// Closes all sessions: what is read later is of a later moment, and waits for no lock that one
    /// of them holds.
    fn release(&self);

    /// Why the query may give other rows each time it is evaluated, if it may: its rows must then come
    /// from a single evaluation.
    ///
    /// # Errors
    ///
    /// When the target does not fit the query, or the database fails.
    fn indivisible(&self, target: Target, stop: &Stop) -> Result<Option<&'static str>>;

    /// About `keys` of the target's keys, evenly from all rows.
    ///
    /// # Errors
    ///
    /// When the target's values have no order, or the database fails.
    fn sample(&self, target: Target, keys: usize, stop: &Stop) -> Result<Sample>;

    /// The query for the rows with `lower <= key`, and `key < upper`; without a lower bound, also the
    /// rows whose key is NULL.
    ///
    /// # Errors
    ///
    /// When the target does not fit the query.
    fn select(
        &self,
        target: Target,
        lower: Option<&Value>,
        upper: Option<&Value>,
    ) -> Result<String>;

    /// How each cut compares with the next one, in the order by which [`select`](DescribedQuery::select) compares them with
    /// the keys; `None` where the database cannot compare them. Without this, they rise.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn compare_cuts(
        &self,
        _target: Target,
        cuts: &[Value],
        _stop: &Stop,
    ) -> Result<Option<Vec<Ordering>>> {
        Ok(Some(vec![Ordering::Less; cuts.len().saturating_sub(1)]))
    }

    /// The names of the columns whose values decide which types they become.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn open_columns(&self, _stop: &Stop) -> Result<Vec<String>> {
        let open = self.fields().iter().filter(|field| field.is_open);
        Ok(open.map(|field| field.name.clone()).collect())
    }

    /// A query for some of the columns and rows of one of the queries, with the values of its parameters: it has at least
    /// the rows for which the filter holds.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement>;

    /// Reads one partition's query into `output`, blocking until its last row.
    ///
    /// Where the output takes batches, or the column's type is [settled](Request::settled), a column keeps the type of its
    /// field, and a value that does not fit is an error; a whole chunk's other columns have the types that all its values
    /// need.
    ///
    /// # Errors
    ///
    /// When the database fails, a value does not fit, or `stop` was set: what was handed over is then not the
    /// partition.
    fn read_into(&self, query: &str, output: &mut Output, stop: &Stop) -> Result<()>;

    /// Reads one partition's query, all of it.
    ///
    /// # Errors
    ///
    /// As for [`read_into`](DescribedQuery::read_into).
    fn read(&self, query: &str, stop: &Stop) -> Result<Chunk> {
        Output::whole(&Meter::default(), |output| {
            self.read_into(query, output, stop)
        })
    }

    /// Whether a chunk must be read again because of what a later partition has shown of a column.
    fn is_stale(&self, _chunk: &Chunk) -> bool {
        false
    }
}
