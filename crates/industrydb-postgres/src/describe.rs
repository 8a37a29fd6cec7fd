//! What a query returns, asked from the server before it runs.

use std::cmp::Ordering;
use std::sync::OnceLock;

use fallible_iterator::FallibleIterator;
use industrydb_core::connector::{not_convertible, reject_other_fields};
use industrydb_core::narrow::{Bind, Narrowing, Test, narrowed};
use industrydb_core::planner::no_table;
use industrydb_core::query::is_plain;
use industrydb_core::statements::Statement;
use industrydb_core::{
    DatabaseConfig, DatabaseConnector, DescribedQuery, Error, Field, Idle, Output, Parameters,
    Request, Result, Sample, Stop, Target, Value,
};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::connect::{Purpose, Session, Start, TextRows};
use crate::connection::PostgresConnection;
use crate::dialect::DIALECT;
use crate::errors::{protocol, without_snapshot};
use crate::options::Options;
use crate::plan::{self, Explained, Table};
use crate::types::{self, Decoding, TypeEntry};
use crate::{dialect, filter, parameters, rows};

/// A PostgreSQL server, version 14 or newer.
pub struct PostgresConnector {
    options: Options,
}

impl PostgresConnector {
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
    /// [`Error::Configuration`] for options that PostgreSQL does not have.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_postgres::PostgresConnector;
    ///
    /// let config = DatabaseConfig::from_uri("postgresql://ana@db/sales?sslmode=require")?;
    /// PostgresConnector::new(&config)?;
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for PostgresConnector {
    fn connect(&self, stop: &Stop) -> Result<Box<dyn industrydb_core::Connection>> {
        let start = Start {
            setup: Vec::new(),
            purpose: Purpose::Anything,
        };
        let session = Session::open(&self.options, &start, stop)?;
        Ok(Box::new(PostgresConnection(session)))
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Box<dyn DescribedQuery>> {
        let queries = request.statements(dialect::LEXICON)?;
        let parameters = parameters::texts(&request.parameters)?;
        let start = Start {
            setup: request.setup.clone(),
            purpose: if request.snapshot {
                Purpose::Transaction
            } else {
                Purpose::Statements
            },
        };
        let mut session = Session::open(&self.options, &start, stop)?;
        let mut described: Option<(Vec<Field>, Vec<Column>)> = None;
        let mut decodings = Vec::new();
        for (number, query) in (1..).zip(&queries) {
            let columns = prepare(&mut session, query, parameters.len(), stop)?;
            let (fields, columns) = with_types(&columns, request, &mut session, stop)?;
            decodings.push(columns.iter().map(|c| c.entry.decoding.clone()).collect());
            match &described {
                Some((first, _)) => reject_other_fields(first, &fields, number)?,
                None => described = Some((fields, columns)),
            }
        }
        let (fields, columns) =
            described.ok_or_else(|| Error::configuration("there is no query"))?;
        Ok(Box::new(PostgresQuery {
            options: self.options.clone(),
            start,
            queries,
            parameters,
            fields,
            decodings,
            columns,
            idle: Idle::new(session),
            snapshot: OnceLock::new(),
            table: OnceLock::new(),
        }))
    }
}

/// A column as the server describes it.
pub(crate) struct DescribedColumn {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// Precision and scale of a `numeric`, for example; -1 where nothing was declared.
    pub(crate) modifier: i32,
    /// The table whose column it is, or 0.
    table: u32,
}

/// What is known of a column beside its field.
struct Column {
    entry: TypeEntry,
    table: u32,
    /// Whether its type is one of those that PostgreSQL comes with, and not one of the same name.
    is_built_in: bool,
}

fn with_types(
    described: &[DescribedColumn],
    request: &Request,
    session: &mut Session,
    stop: &Stop,
) -> Result<(Vec<Field>, Vec<Column>)> {
    let entries = types::entries(described, session, stop)?;
    let column = |(column, mut entry): (&DescribedColumn, TypeEntry)| {
        let mut field = Field::new(&column.name, &entry.name, entry.decoding.column_type());
        if let Some(asked) = request.wanted(&column.name) {
            if !entry.take_override(asked) {
                return Err(not_convertible(&column.name, &entry.name, asked));
            }
            field.ask(entry.decoding.column_type());
        } else {
            field.is_open |= entry.decoding.is_open();
        }
        let column = Column {
            entry,
            table: column.table,
            is_built_in: types::built_in(column.oid, -1).is_some(),
        };
        Ok((field, column))
    };
    let columns = described.iter().zip(entries).map(column);
    let columns: Vec<(Field, Column)> = columns.collect::<Result<_>>()?;
    let (fields, columns): (Vec<Field>, Vec<Column>) = columns.into_iter().unzip();
    request.reject_unknown(&fields)?;
    Ok((fields, columns))
}

/// The columns of a query that `read_sql` takes.
fn prepare(
    session: &mut Session,
    query: &str,
    given: usize,
    stop: &Stop,
) -> Result<Vec<DescribedColumn>> {
    columns(session, query, given, stop)?.ok_or_else(|| {
        Error::configuration(
            "the query returns no rows: read_sql takes a SELECT, and has not run this statement",
        )
    })
}

/// Has the server parse a statement, which runs nothing, and describe its columns if it returns rows.
pub(crate) fn columns(
    session: &mut Session,
    query: &str,
    given: usize,
    stop: &Stop,
) -> Result<Option<Vec<DescribedColumn>>> {
    session.busy = true;
    session.send(stop, |buffer| {
        frontend::parse("", query, [], buffer)?;
        frontend::describe(b'S', "", buffer)?;
        frontend::sync(buffer);
        Ok(())
    })?;
    let (mut columns, mut expected) = (None, 0);
    loop {
        match session.receive(stop)? {
            Message::ParameterDescription(body) => {
                expected = body.parameters().count().map_err(|e| protocol(&e))?;
            }
            Message::RowDescription(body) => {
                let described = body.fields().map(|field| {
                    Ok(DescribedColumn {
                        name: field.name().to_owned(),
                        oid: field.type_oid(),
                        modifier: field.type_modifier(),
                        table: field.table_oid(),
                    })
                });
                columns = Some(described.collect().map_err(|e| protocol(&e))?);
            }
            Message::ErrorResponse(body) => return Err(session.fail(&body, stop)),
            Message::ReadyForQuery(body) => {
                session.ready(body.status());
                if expected != given {
                    return Err(Error::configuration(format!(
                        "the query has {expected} parameter(s) ($1, $2, …), and params has {given} \
                         value(s)"
                    )));
                }
                return Ok(columns);
            }
            _ => {}
        }
    }
}

/// A request whose columns are known.
struct PostgresQuery {
    options: Options,
    start: Start,
    queries: Vec<String>,
    parameters: Vec<Option<String>>,
    fields: Vec<Field>,
    columns: Vec<Column>,
    /// How the columns of each query are decoded, which may differ where their types are the same.
    decodings: Vec<Vec<Decoding>>,
    /// Sessions between two uses, their transactions open; the one that described the query also
    /// reads.
    idle: Idle<Session>,
    /// The state of the database that all sessions see, once there is to be more than one.
    snapshot: OnceLock<String>,
    /// The table whose column is the key, or whose rows are split, once it is known.
    table: OnceLock<Table>,
}

impl PostgresQuery {
    /// Uses an idle session, or a new one that sees the same state; after an error it is closed.
    fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        self.idle.with(|| self.open(stop), work)
    }

    fn open(&self, stop: &Stop) -> Result<Session> {
        let mut session = Session::open(&self.options, &self.start, stop)?;
        if let Some(snapshot) = self.snapshot.get() {
            session
                .rows(&dialect::import_snapshot(snapshot), &[], stop)
                .map_err(without_snapshot)?;
        }
        Ok(session)
    }

    /// The query that is split.
    fn query(&self) -> &str {
        self.queries.first().map(String::as_str).unwrap_or_default()
    }

    /// Asks for the plan of a statement with the query inside.
    fn explain(&self, sql: &str, stop: &Stop) -> Result<Explained> {
        let rows = self.with_session(stop, |session| session.rows(sql, &self.parameters, stop))?;
        Explained::new(rows).ok_or_else(|| Error::connection("the server's EXPLAIN is no JSON"))
    }

    fn look_up_table(&self, oid: u32, stop: &Stop) -> Result<Option<Table>> {
        let sql = dialect::table(oid);
        let rows = self.with_session(stop, |session| session.rows(&sql, &[], stop))?;
        Ok(Table::new(rows))
    }

    /// The one table whose blocks can be shared out among the partitions.
    fn table_to_split(&self, stop: &Stop) -> Result<Table> {
        if !is_plain(self.query(), dialect::LEXICON) {
            return Err(no_table("this query does more"));
        }
        let mut tables = self.columns.iter().map(|column| column.table);
        let table = match tables.find(|table| *table != 0) {
            Some(oid) => self.look_up_table(oid, stop)?,
            None => None,
        };
        let table = table.ok_or_else(|| no_table("no column of this one is a table's"))?;
        if !table.is_stored() {
            let why = format!("{:?} is a view, a foreign or a temporary table", table.name);
            return Err(no_table(&why));
        }
        // The server itself says whether the split query is a scan of the table's blocks.
        let (block, condition) = dialect::NO_BLOCK;
        let query = table.freed(self.query());
        let part = dialect::blocks(&query, &table, Some(&Value::Integer(block)), None);
        let part = dialect::explain(&part);
        let answer = self.with_session(stop, |session| {
            session.attempt(&part, &self.parameters, stop)
        })?;
        match answer.map(Explained::new) {
            Ok(Some(explained)) if explained.is_block_scan(condition) => Ok(table),
            Ok(_) => Err(no_table("this query does more")),
            Err(error) => Err(no_table(&format!("this one cannot be split ({error})"))),
        }
    }

    /// Whether rows of a query may stand for others that its conditions take for equal.
    fn has_groups(&self, query: &str, stop: &Stop) -> Result<bool> {
        let sql = dialect::explain(query);
        let answer = self.with_session(stop, |session| {
            session.attempt(&sql, &self.parameters, stop)
        })?;
        let explained = answer.ok().and_then(Explained::new);
        Ok(explained.is_none_or(|explained| explained.has_groups()))
    }

    /// Keys of a column: of some rows of its table where it has one, otherwise of a share of all rows.
    fn sample_column(&self, index: usize, wanted: usize, stop: &Stop) -> Result<Sample> {
        let field = &self.fields[index];
        let query = self.query();
        let rows = self.explain(&dialect::explain(query), stop)?.rows();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let keys = wanted as f64;
        let limit = 20 * wanted;
        let ask = |sql: &str| -> Result<Result<TextRows>> {
            self.with_session(stop, |session| session.attempt(sql, &self.parameters, stop))
        };
        if let Some(table) = self.table.get().filter(|table| table.is_stored()) {
            let sql = dialect::explain(&dialect::all_of(table));
            let table_rows = match ask(&sql)?.map(Explained::new) {
                Ok(Some(explained)) => explained.rows(),
                _ => rows, // the query may be allowed what a look at its table is not
            };
            let spread = table.spread(table_rows, keys);
            let freed = table.freed(query);
            let sql = dialect::keys_of_some_rows(&freed, &field.name, table, &spread, limit);
            let explained = ask(&dialect::explain(&sql))?.map(Explained::new);
            if let Ok(Some(explained)) = explained
                && explained.is_of_some_rows()
                && let Ok(answer) = ask(&sql)?
                && plan::sampled(&answer) * 20.0 >= keys
                && !plan::is_padded(query, &answer)
            {
                return Ok(plan::sample(answer, table_rows / spread.rows));
            }
            log::debug!("no sample of some rows of {}", table.name);
        }
        let mut share = (keys / rows).min(1.0);
        loop {
            match ask(&dialect::keys(query, &field.name, share, limit))? {
                // There are far more rows than the server expects.
                Ok(answer) if answer.len() >= limit => share *= keys / plan::sampled(&answer),
                Ok(answer) => return Ok(plan::sample(answer, 1.0 / share)),
                Err(error) if matches!(error.code(), Some("42883" | "42P22")) => {
                    // undefined_function, indeterminate_collation
                    return Err(plan::unordered(field, &error));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl DescribedQuery for PostgresQuery {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn queries(&self) -> &[String] {
        &self.queries
    }

    /// Exports the snapshot of the session that described the query; sessions to come import it.
    fn share_snapshot(&self, _sessions: usize, stop: &Stop) -> Result<()> {
        let export = |session: &mut Session| {
            let rows = session.rows(dialect::EXPORT_SNAPSHOT, &[], stop);
            rows.map_err(without_snapshot)
        };
        let exported = self.with_session(stop, export)?;
        let mut values = exported.into_iter().flatten().flatten();
        let (snapshot, has_temporary) = (values.next(), values.next());
        if !self.start.setup.is_empty() && has_temporary.as_deref() == Some("t") {
            return Err(Error::configuration(
                "pre_execution_query makes temporary tables, whose rows are in no snapshot that sessions \
                 share: pass snapshot=False, or read in one partition",
            ));
        }
        if let Some(snapshot) = snapshot {
            let _ = self.snapshot.set(snapshot); // there is one describing session, and so one name
        }
        Ok(())
    }

    fn indivisible(&self, target: Target, stop: &Stop) -> Result<Option<&'static str>> {
        let sql = match target {
            Target::Column(index) => dialect::probe(self.query(), &self.fields[index].name),
            Target::Rows => dialect::explain(self.query()),
        };
        let explained = self.explain(&sql, stop)?;
        let Target::Column(index) = target else {
            if explained.has_limit() {
                return Ok(Some("the query has a LIMIT"));
            }
            let table = self.table_to_split(stop)?;
            let _ = self.table.set(table); // found twice, it is the same
            return Ok(None);
        };
        if self.columns[index].entry.is_record() {
            return Ok(Some(
                "the key is a record without a type, whose values cannot be written",
            ));
        }
        let is_expression = match self.columns[index].table {
            0 => true,
            oid => match self.look_up_table(oid, stop)? {
                Some(table) => self.table.get_or_init(|| table).is_view(),
                None => true,
            },
        };
        let mut reason = explained.indivisible();
        if reason.is_none() && is_expression {
            reason = explained.makes_other_keys(self.query(), &self.parameters);
        }
        if reason.is_some() {
            return Ok(reason);
        }
        let sql = dialect::are_volatile(&explained.called(), is_expression);
        let volatile = self.with_session(stop, |session| session.rows(&sql, &[], stop))?;
        Ok((!volatile.is_empty()).then_some("the query calls a volatile function"))
    }

    fn sample(&self, target: Target, keys: usize, stop: &Stop) -> Result<Sample> {
        match (target, self.table.get()) {
            (Target::Column(index), _) => self.sample_column(index, keys, stop),
            (Target::Rows, Some(table)) => {
                let rows = self.explain(&dialect::explain(self.query()), stop)?.rows();
                Ok(table.block_sample(rows))
            }
            (Target::Rows, None) => Err(no_table("no table was found")),
        }
    }

    fn select(
        &self,
        target: Target,
        lower: Option<&Value>,
        upper: Option<&Value>,
    ) -> Result<String> {
        match (target, self.table.get()) {
            (Target::Column(index), _) => Ok(dialect::range(
                self.query(),
                &self.fields[index].name,
                &self.columns[index].entry,
                lower,
                upper,
            )),
            (Target::Rows, Some(table)) => {
                let query = table.freed(self.query());
                Ok(dialect::blocks(&query, table, lower, upper))
            }
            (Target::Rows, None) => Err(no_table("no table was found")),
        }
    }

    fn compare_cuts(
        &self,
        target: Target,
        cuts: &[Value],
        stop: &Stop,
    ) -> Result<Option<Vec<Ordering>>> {
        let Target::Column(index) = target else {
            return Ok(Some(vec![Ordering::Less; cuts.len().saturating_sub(1)]));
        };
        let entry = &self.columns[index].entry;
        if let Some(compared) = plan::compare_integers(entry, cuts) {
            return Ok(Some(compared));
        }
        let sql = dialect::rising(self.query(), &self.fields[index].name, entry, cuts);
        let answer = self.with_session(stop, |session| {
            session.attempt(&sql, &self.parameters, stop)
        })?;
        if let Err(error) = &answer {
            log::warn!("the keys cannot be compared: {error}");
        }
        Ok(answer.ok().map(plan::compared))
    }

    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement> {
        let write = |index: usize, test: &Test, bind: Bind| {
            let Column {
                table, is_built_in, ..
            } = &self.columns[index];
            let is_written = *table != 0 && (*is_built_in || *test == Test::IsNull);
            is_written.then(|| filter::written(&self.fields[index], test, bind))?
        };
        let narrowed = narrowed(&DIALECT, &self.fields, narrowing, parameters, &write);
        Ok(
            if narrowed.condition.is_some() && self.has_groups(query, stop)? {
                narrowed.select(&dialect::evaluated_first(query), narrowing.limit)
            } else {
                narrowed.select(query, narrowing.limit)
            },
        )
    }

    fn read_into(&self, query: &str, output: &mut Output, stop: &Stop) -> Result<()> {
        self.with_session(stop, |session| {
            // A partition's query is one of a list, or made of the only one.
            let number = self.queries.iter().position(|other| other == query);
            let decodings = &self.decodings[number.unwrap_or_default()];
            let (fields, parameters) = (&self.fields, &self.parameters);
            rows::read(session, query, parameters, fields, decodings, output, stop)
        })
    }
}
