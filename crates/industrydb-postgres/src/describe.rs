//! What a query returns, asked from the server before it runs.

use std::cmp::Ordering;
use std::sync::OnceLock;
use std::time::Instant;

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

use crate::connect::{Format, Session, Step, TextRows};
use crate::connection::PostgresConnection;
use crate::dialect::DIALECT;
use crate::errors::{protocol, unexpected};
use crate::locks::Locked;
use crate::options::Options;
use crate::plan::{self, Explained, Table};
use crate::read::Reading;
use crate::together::{Group, Together};
use crate::transaction::{Moment, Purpose, Start, Wait};
use crate::types::{self, Decoding, TypeEntry};
use crate::{dialect, filter, parameters};

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
        let start = Start::new(&[], Purpose::Anything);
        let session = Session::open(&self.options, &start, stop)?;
        Ok(Box::new(PostgresConnection(session)))
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Box<dyn DescribedQuery>> {
        let queries = request.statements(dialect::LEXICON)?;
        let parameters = parameters::texts(&request.parameters)?;
        let mut start = Start::new(
            &request.setup,
            if request.snapshot {
                Purpose::Transaction
            } else {
                Purpose::Statements
            },
        );
        let mut session = Session::open_first(&self.options, &mut start, stop)?;
        let mut first: Option<(Vec<Field>, Vec<Column>)> = None;
        let (mut described, mut decodings) = (Vec::new(), Vec::new());
        for (number, query) in (1..).zip(&queries) {
            let found = if request.snapshot && queries.len() == 1 {
                prepare_and_lock(&mut session, &start, query, &parameters, stop)?
            } else {
                columns(&mut session, query, parameters.len(), stop)?
            };
            let found = found.ok_or_else(returns_no_rows)?;
            let (fields, columns) = with_types(&found, request, &mut session, stop)?;
            described.push(found);
            decodings.push(columns.iter().map(|c| c.entry.decoding.clone()).collect());
            match &first {
                Some((first, _)) => reject_other_fields(first, &fields, number)?,
                None => first = Some((fields, columns)),
            }
        }
        let (fields, columns) = first.ok_or_else(|| Error::configuration("there is no query"))?;
        Ok(Box::new(PostgresQuery {
            options: self.options.clone(),
            start,
            queries,
            parameters,
            fields,
            decodings,
            columns,
            described,
            idle: Idle::new(session),
            locked: OnceLock::new(),
            is_apart: OnceLock::new(),
            table: OnceLock::new(),
        }))
    }
}

/// A column as the server describes it.
#[derive(Clone)]
pub(crate) struct DescribedColumn {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// Precision and scale of a `numeric`, for example; -1 where nothing was declared.
    pub(crate) modifier: i32,
    /// The table whose column it is, or 0.
    table: u32,
}

impl DescribedColumn {
    /// The column as one whose type does not matter.
    pub(crate) fn of_any_type(&self) -> Self {
        Self {
            name: self.name.clone(),
            oid: 0,
            modifier: -1,
            table: 0,
        }
    }

    /// The type's name, where it is built in.
    pub(crate) fn type_name(&self) -> String {
        types::built_in(self.oid, self.modifier)
            .map_or_else(|| format!("type {}", self.oid), |entry| entry.name)
    }
}

/// What the server says of a statement.
pub(crate) struct Description {
    /// The columns, if it returns rows.
    pub(crate) columns: Option<Vec<DescribedColumn>>,
    /// How many parameters it has.
    parameters: usize,
}

impl Description {
    /// The columns, where so many parameters are given as there are.
    fn of(self, given: usize) -> Result<Option<Vec<DescribedColumn>>> {
        let parameters = self.parameters;
        if parameters == given {
            return Ok(self.columns);
        }
        Err(Error::configuration(format!(
            "the query has {parameters} parameter(s) ($1, $2, …), and params has {given} value(s)"
        )))
    }
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
        field.is_open |= entry.decoding.is_open();
        if let Some(asked) = request.asked(&column.name) {
            if !entry.take_override(asked) {
                return Err(not_convertible(&column.name, &entry.name, asked));
            }
            field.ask(entry.decoding.column_type());
        } else if let Some(known) = request.known(&column.name)
            && (field.is_open && field.column_type.may_settle_as(known)
                || field.column_type == *known)
            && entry.take_override(known)
        {
            field.ask(entry.decoding.column_type());
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

/// Has the server describe a query, and plan it, which locks all that its plan reads. A query that cannot
/// be planned fails when it is read.
fn prepare_and_lock(
    session: &mut Session,
    start: &Start,
    query: &str,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<Option<Vec<DescribedColumn>>> {
    let plan = dialect::explain(query);
    let steps = [
        Step::Describe(query),
        Step::Run(&plan, parameters, Format::Text),
    ];
    session.may_wait_since = Some(Instant::now());
    session.start_together(&steps, stop)?;
    let description = description(session, stop)?;
    let planned = session.answer(stop).and_then(|rows| {
        session.collect(stop)?;
        Ok(Explained::new(rows))
    });
    session.may_wait_since = None;
    match planned {
        Ok(plan) => session.holds_all = plan.is_some_and(|plan| plan.locks_all()),
        Err(Error::Query { .. }) => {
            session.roll_back(stop)?;
            session.begin(start, Moment::Each, Wait::Long, stop)?;
        }
        Err(other) => return Err(other),
    }
    description.of(parameters.len())
}

fn returns_no_rows() -> Error {
    Error::configuration(
        "the query returns no rows: read_sql takes a SELECT, and has not run this statement",
    )
}

/// Has the server parse a statement, which runs nothing, and describe its columns if it returns rows.
pub(crate) fn columns(
    session: &mut Session,
    query: &str,
    given: usize,
    stop: &Stop,
) -> Result<Option<Vec<DescribedColumn>>> {
    session.may_wait_since = Some(Instant::now());
    session.start_together(&[Step::Describe(query)], stop)?;
    let description = description(session, stop)?;
    session.may_wait_since = None;
    session.collect(stop)?;
    description.of(given)
}

/// Takes the answer to [`Step::Describe`].
pub(crate) fn description(session: &mut Session, stop: &Stop) -> Result<Description> {
    let mut parameters = 0;
    loop {
        let columns = match session.receive(stop)? {
            Message::ParameterDescription(body) => {
                parameters = body.parameters().count().map_err(|e| protocol(&e))?;
                continue;
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
                Some(described.collect().map_err(|e| protocol(&e))?)
            }
            Message::NoData => None,
            Message::ErrorResponse(body) => return Err(session.fail(&body, stop)),
            Message::ReadyForQuery(_) => return Err(unexpected("the description of a statement")),
            _ => continue,
        };
        return Ok(Description {
            columns,
            parameters,
        });
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
    /// The columns of each query, as the server has described them, …
    described: Vec<Vec<DescribedColumn>>,
    /// … and how they are decoded, which may differ where their types are the same.
    decodings: Vec<Vec<Decoding>>,
    /// Sessions between two uses; the one that described the query also reads.
    idle: Idle<Session>,
    /// What all sessions have locked, once they have begun together.
    locked: OnceLock<Locked>,
    /// Whether several sessions read, each at its own moment.
    is_apart: OnceLock<()>,
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
        if self.locked.get().is_some() {
            return Err(Error::connection(
                "no session is left that sees the state of the others",
            ));
        }
        let mut session = Session::open(&self.options, &self.start, stop)?;
        if self.is_apart.get().is_some() {
            session.bound_waits();
        }
        self.in_transaction(&mut session, stop)?;
        Ok(session)
    }

    /// Lets a session begin its transaction, unless it is in one or is to have none.
    fn in_transaction(&self, session: &mut Session, stop: &Stop) -> Result<()> {
        if self.start.purpose == Purpose::Transaction && !session.in_transaction {
            session.begin(&self.start, Moment::Each, Wait::Long, stop)?;
        }
        Ok(())
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

    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>> {
        if partitions <= 1 {
            return Ok(Some(1));
        }
        let first = match self.idle.take() {
            Some(session) => session,
            None => self.open(stop)?,
        };
        let group = Group {
            options: &self.options,
            start: &self.start,
            queries: &self.queries,
            described: &self.described,
            parameters: &self.parameters,
        };
        let begun = group.begin(first, partitions.min(max_sessions), stop)?;
        let Some(Together { sessions, locked }) = begun else {
            return Ok(None);
        };
        let count = sessions.len();
        *self.idle.lock() = sessions;
        let _ = self.locked.set(locked); // a read begins once
        Ok(Some(count))
    }

    /// Bounds the waits for locks: what one session waits for may itself wait for another one of the read.
    fn begin_apart(&self, _sessions: usize, _stop: &Stop) -> Result<()> {
        let _ = self.is_apart.set(()); // a read begins once
        self.idle.lock().iter_mut().for_each(Session::bound_waits);
        Ok(())
    }

    fn retire(&self) {
        drop(self.idle.take());
    }

    fn release(&self) {
        self.idle.take_all();
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
            // A schema may be renamed between the questions about the table: then they are asked anew.
            let table = self.table_to_split(stop);
            let table = table.or_else(|_| self.table_to_split(stop))?;
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
            let number = number.unwrap_or_default();
            let reading = Reading {
                query,
                parameters: &self.parameters,
                fields: &self.fields,
                decodings: &self.decodings[number],
            };
            if let Some(locked) = self.locked.get() {
                return reading.together(session, &self.queries[number], locked, output, stop);
            }
            if session.holds_all && self.queries[number] == query {
                return reading.locked(session, &self.described[number], output, stop);
            }
            self.in_transaction(session, stop)?;
            reading.by_itself(session, &self.described[number], output, stop)
        })
    }
}
