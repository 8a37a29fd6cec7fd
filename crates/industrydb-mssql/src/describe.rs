//! What a query returns, asked from the server before it runs.

use std::sync::OnceLock;

use industrydb_core::connector::{not_convertible, reject_other_fields};
use industrydb_core::narrow::{Bind, Narrowing, Test, narrowed};
use industrydb_core::query::has_groups;
use industrydb_core::statements::Statement;
use industrydb_core::{
    DatabaseConfig, DatabaseConnector, DescribedQuery, Error, Field, Idle, Output, Parameters,
    Phase, Request, Result, Sample, Stop, Target, Value,
};
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;
use mssql_tds::query::metadata::ColumnMetadata;

use crate::clock;
use crate::connect::{Described, Session, is_document};
use crate::connection::MssqlConnection;
use crate::dialect::{self, DIALECT, Derived, Source};
use crate::filter;
use crate::options::Options;
use crate::parameters;
use crate::plan::{self, Key};
use crate::rows::Rows;
use crate::types::{self, Decoding};

/// A SQL Server, 2016 or newer.
pub struct MssqlConnector {
    options: Options,
}

impl MssqlConnector {
    /// Refuses options that the database does not have, without a look at their values.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] that names the option.
    pub fn check_options(config: &DatabaseConfig) -> Result<()> {
        Options::check_names(config)
    }

    /// Checks what the configuration asks for; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for options that SQL Server does not have.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_mssql::MssqlConnector;
    ///
    /// let config = DatabaseConfig::from_uri("mssql://ana:secret@db/sales?encrypt=strict")?;
    /// MssqlConnector::new(&config)?;
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for MssqlConnector {
    fn connect(&self, stop: &Stop) -> Result<Box<dyn industrydb_core::Connection>> {
        let session = Session::open(&self.options, &[], stop)?;
        Ok(Box::new(MssqlConnection(session)))
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Box<dyn DescribedQuery>> {
        let mut queries = request.statements(dialect::LEXICON)?;
        let parameters = parameters::bound(&request.parameters)?;
        let declarations = parameters::declarations(&request.parameters);
        let mut session = Session::open(&self.options, &request.setup, stop)?;
        if queries.len() > 1 {
            // Each query is read by another session.
            queries = clock::at_one_time(&mut session, &queries, stop)?;
        }
        let mut described: Option<Vec<Field>> = None;
        let (mut told, mut decodings) = (Vec::new(), Vec::new());
        let mut names = String::new();
        for (number, query) in (1..).zip(&queries) {
            let columns = prepare(&mut session, query, &declarations, &parameters, stop)?;
            let (fields, decoding) = with_types(&columns, request)?;
            decodings.push(decoding);
            if let Some(first) = &described {
                reject_other_fields(first, &fields, number)?;
                told.push(columns);
                continue;
            }
            if columns.iter().any(|column| column.name.is_empty()) {
                let quoted = fields.iter().map(|field| dialect::quoted(&field.name));
                names = format!(" ({})", quoted.collect::<Vec<_>>().join(", "));
            }
            told.push(columns);
            described = Some(fields);
        }
        Ok(Box::new(MssqlQuery {
            options: self.options.clone(),
            setup: request.setup.clone(),
            queries,
            parameters,
            declarations,
            fields: described.ok_or_else(|| Error::configuration("there is no query"))?,
            names,
            at_one_time: OnceLock::new(),
            sources: OnceLock::new(),
            primary_key: OnceLock::new(),
            described: told,
            decodings,
            idle: Idle::new(session),
        }))
    }
}

/// The names and types of a query's columns: told by the server, or else seen on a result without rows.
fn prepare(
    session: &mut Session,
    query: &str,
    declarations: &str,
    parameters: &[RpcParameter],
    stop: &Stop,
) -> Result<Vec<Described>> {
    if !dialect::is_select(query) {
        return Err(Error::configuration(
            "the query is not a single SELECT, or one INTO a table: SQL Server has no transactions that cannot write, so \
             read_sql takes nothing else, and has not run this",
        ));
    }
    let sql = dialect::describe(query, declarations, false);
    match session.described(&sql, stop) {
        Ok(columns) if !columns.is_empty() => return Ok(columns),
        Err(error @ Error::Query { .. }) if is_final(&error) => return Err(error),
        Err(error @ (Error::Connection { .. } | Error::Interrupted)) => return Err(error),
        _ => {}
    }
    log::debug!("the server does not describe the query; asking for a result without rows");
    let columns = match session.columns(&dialect::no_rows(query), parameters, stop) {
        Err(error) if has_no_place(&error) => {
            session.columns(&dialect::format_only(query), parameters, stop)
        }
        columns => columns,
    }?;
    if columns.is_empty() {
        return Err(Error::configuration(
            "the query returns no rows: read_sql takes a SELECT",
        ));
    }
    Ok(columns)
}

/// Whether the query cannot stand in a table's place: a column has no name, or another one's, or there is an ORDER BY.
fn has_no_place(error: &Error) -> bool {
    matches!(error.code(), Some("8155" | "8156" | "1033"))
}

/// Whether another way to describe the query would fail as well: it has a syntax error, or names what is not there.
fn is_final(error: &Error) -> bool {
    matches!(error.code(), Some("102" | "156" | "207" | "208" | "229"))
}

fn with_types(columns: &[Described], request: &Request) -> Result<(Vec<Field>, Vec<Decoding>)> {
    let column = |(index, described): (usize, &Described)| {
        let Described {
            name, type_name, ..
        } = described;
        let name = if name.is_empty() {
            unnamed(index)
        } else {
            name.clone()
        };
        let mut decoding = types::decoding(type_name);
        let mut field = Field::new(&name, type_name, decoding.column_type());
        if let Some(asked) = request.asked(&name) {
            decoding = decoding
                .overridden(asked)
                .ok_or_else(|| not_convertible(&name, type_name, asked))?;
            field.ask(asked.clone());
        } else if let Some(known) = request.known(&name)
            && field.is_open
            && field.column_type.may_settle_as(known)
            && let Some(settled) = decoding.overridden(known)
        {
            decoding = settled;
            field.ask(known.clone());
        }
        Ok((field, decoding))
    };
    let columns: Vec<(Field, Decoding)> = columns
        .iter()
        .enumerate()
        .map(column)
        .collect::<Result<_>>()?;
    let (fields, decodings): (Vec<Field>, Vec<Decoding>) = columns.into_iter().unzip();
    request.reject_unknown(&fields)?;
    Ok((fields, decodings))
}

/// Refuses rows whose columns are not those that were described: the table may have been altered since.
///
/// Types are the same where they are read as the same type: the server describes some more closely than it sends them.
fn reject_changed(described: &[Described], sent: &[ColumnMetadata]) -> Result<()> {
    let is_same = |(index, (described, sent)): (usize, (&Described, &ColumnMetadata))| {
        // A column without a name has the one that a partition's query gives it.
        let has_name = described.name == sent.column_name
            || described.name.is_empty() && sent.column_name == unnamed(index)
            || is_document(std::slice::from_ref(sent));
        has_name && types::decoding(&described.type_name) == types::decoding(&types::name(sent))
    };
    let mut pairs = described.iter().zip(sent).enumerate();
    if described.len() == sent.len() && pairs.all(is_same) {
        return Ok(());
    }
    let shown = |columns: &mut dyn Iterator<Item = (&str, String)>| {
        let columns = columns.map(|(name, type_name)| format!("{name:?} ({type_name})"));
        columns.collect::<Vec<_>>().join(", ")
    };
    let mut before = described
        .iter()
        .map(|column| (&*column.name, column.type_name.clone()));
    let mut now = sent
        .iter()
        .map(|column| (&*column.column_name, types::name(column)));
    Err(Error::Query {
        message: format!(
            "the query's columns have changed since they were described: they were {}, and are {}: read again",
            shown(&mut before),
            shown(&mut now)
        ),
        code: None,
        partition: None,
    })
}

/// The name of a column to which the query gives none.
fn unnamed(index: usize) -> String {
    format!("column_{index}")
}

/// A request whose columns are known.
struct MssqlQuery {
    options: Options,
    setup: Vec<String>,
    queries: Vec<String>,
    parameters: Vec<RpcParameter>,
    declarations: String,
    fields: Vec<Field>,
    /// The names of all columns in brackets, where the first query leaves one without.
    names: String,
    /// The query with one answer for all of its parts where it asks for the time.
    at_one_time: OnceLock<String>,
    sources: OnceLock<Vec<Option<Source>>>,
    primary_key: OnceLock<usize>,
    /// The columns of each query, as the server described them.
    described: Vec<Vec<Described>>,
    /// How the columns of each query are built.
    decodings: Vec<Vec<Decoding>>,
    /// Sessions between two uses; the one that described the query also reads.
    idle: Idle<Session>,
}

impl MssqlQuery {
    /// Uses an idle session, or a new one; after an error it is closed.
    fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let open = || Session::open(&self.options, &self.setup, stop);
        self.idle.with(open, work)
    }

    /// The tables' columns that the query's columns are, as far as the server tells.
    fn sources(&self, stop: &Stop) -> Result<&[Option<Source>]> {
        if let Some(known) = self.sources.get() {
            return Ok(known);
        }
        let sql = dialect::describe(self.query(), &self.declarations, true);
        let told = self.with_session(stop, |session| match session.described(&sql, stop) {
            Ok(columns) => Ok(columns.into_iter().map(|column| column.source).collect()),
            Err(Error::Query { message, .. }) => {
                log::debug!("the server does not tell the query's tables: {message}");
                Ok(Vec::new())
            }
            Err(other) => Err(other),
        })?;
        let mut told: Vec<Option<Source>> = told;
        if told.len() != self.fields.len() {
            told = vec![None; self.fields.len()];
        }
        Ok(self.sources.get_or_init(|| told))
    }

    /// The place of the column that the query is split by.
    fn key_index(&self, target: Target, stop: &Stop) -> Result<usize> {
        if let Target::Column(index) = target {
            return Ok(index);
        }
        if let Some(index) = self.primary_key.get() {
            return Ok(*index);
        }
        let sources = self.sources(stop)?;
        let found = self.with_session(stop, |session| plan::primary_key(session, sources, stop))?;
        Ok(*self.primary_key.get_or_init(|| found))
    }

    /// The query that is split.
    fn query(&self) -> &str {
        let query = self.at_one_time.get().or(self.queries.first());
        query.map(String::as_str).unwrap_or_default()
    }

    /// Gives all parts of the query one answer where it asks for the time.
    fn take_time(&self, stop: &Stop) -> Result<()> {
        let first = self.queries.get(..1).unwrap_or_default();
        let found = self.with_session(stop, |session| clock::at_one_time(session, first, stop))?;
        if let Some(query) = found.into_iter().next() {
            let _ = self.at_one_time.set(query); // one is as good as another
        }
        Ok(())
    }
}

impl DescribedQuery for MssqlQuery {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn queries(&self) -> &[String] {
        &self.queries
    }

    fn begin(&self, partitions: usize, max_sessions: usize, _stop: &Stop) -> Result<Option<usize>> {
        let sessions = partitions.min(max_sessions);
        if sessions > 1 {
            log::info!(
                "SQL Server's sessions share no snapshot: each partition sees the database as it is when it is read"
            );
        }
        Ok(Some(sessions))
    }

    fn retire(&self) {
        drop(self.idle.take());
    }

    fn release(&self) {
        self.idle.take_all();
    }

    fn indivisible(&self, target: Target, stop: &Stop) -> Result<Option<&'static str>> {
        self.take_time(stop)?;
        let index = self.key_index(target, stop)?;
        let field = &self.fields[index];
        if !dialect::has_order(&field.database_type) {
            return Err(Error::configuration(format!(
                "partition_on={:?} has the type {}, whose values cannot be put in order",
                field.name, field.database_type
            )));
        }
        Ok(plan::indivisible(self.query()))
    }

    fn sample(&self, target: Target, keys: usize, stop: &Stop) -> Result<Sample> {
        let index = self.key_index(target, stop)?;
        let field = &self.fields[index];
        let key = Key {
            name: &field.name,
            type_name: &field.database_type,
            source: self.sources(stop)?[index].as_ref(),
        };
        let derived = Derived::new(self.query(), &self.names);
        self.with_session(stop, |session| {
            let parameters = &self.parameters;
            plan::sample(
                session,
                self.query(),
                &derived,
                &key,
                parameters,
                keys,
                stop,
            )
        })
    }

    fn select(
        &self,
        target: Target,
        lower: Option<&Value>,
        upper: Option<&Value>,
    ) -> Result<String> {
        let index = self.key_index(target, &Stop::default())?;
        let field = &self.fields[index];
        let derived = Derived::new(self.query(), &self.names);
        Ok(derived.range(&field.name, &field.database_type, lower, upper))
    }

    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement> {
        let sources = match narrowing.filter {
            // By a collation, 'a' and 'A' can be equal: a condition could change which stands for the other.
            Some(_) if !has_groups(query, dialect::LEXICON) => self.sources(stop)?,
            _ => &[],
        };
        let write = |index: usize, test: &Test, bind: Bind| {
            let is_column = sources.get(index).is_some_and(Option::is_some);
            is_column.then(|| filter::written(&self.fields[index], test, bind))?
        };
        let narrowed = narrowed(&DIALECT, &self.fields, narrowing, parameters, &write);
        let derived = Derived::new(query, &self.names);
        Ok((
            derived.narrowed(&narrowed, narrowing.limit),
            narrowed.parameters,
        ))
    }

    fn read_into(&self, query: &str, output: &mut Output, stop: &Stop) -> Result<()> {
        self.with_session(stop, |session| {
            output.meter.reach(Phase::Connected);
            // A partition's query is one of a list, or made of the only one.
            let number = self.queries.iter().position(|other| other == query);
            let number = number.unwrap_or_default();
            let (described, decodings) = (&self.described[number], &self.decodings[number]);
            let rows = |sent: &[ColumnMetadata]| {
                reject_changed(described, sent)?;
                Ok(Rows::new(&self.fields[..], decodings))
            };
            let (batch_rows, batch_bytes) = (output.batch_rows(), output.batch_bytes());
            let (mut last, mut before) = (0, 0);
            let after_row = |rows: &mut Rows, height: usize| {
                last = height;
                let mut is_full = height - before == batch_rows;
                if height.is_multiple_of(Output::ROWS_BETWEEN_LOOKS) {
                    output.meter.has_read(height);
                    is_full |= rows.long_bytes() >= batch_bytes;
                }
                if is_full {
                    output.push(rows.take(height - before))?;
                    before = height;
                }
                Ok(())
            };
            let mut rows = session.read(query, &self.parameters, rows, after_row, stop)?;
            output.meter.has_read(last);
            output.push(rows.take(last - before))
        })
    }
}
