//! A request whose columns are known: what the planner asks the server, and the workers read.

use std::cmp::Ordering;
use std::sync::OnceLock;

use industrydb_core::narrow::{Bind, Filter, Narrowing, Test, narrowed};
use industrydb_core::planner::no_table;
use industrydb_core::statements::Statement;
use industrydb_core::tokens::{has_word, is_plain};
use industrydb_core::{
    DescribedQuery, Error, Field, Idle, Output, Parameters, Result, Sample, Stop, Target, Value,
};

use crate::clock;
use crate::connect::{Session, TextRows};
use crate::describe::{self, Column, DescribedColumn};
use crate::dialect::DIALECT;
use crate::options::Options;
use crate::plan::{self, Explained, Table};
use crate::read::{Reading, reject_changed};
use crate::together::{Group, Held, PLANNED, Together};
use crate::transaction::{Moment, Purpose, Start, Wait};
use crate::types::Decoding;
use crate::{dialect, filter};

/// A request whose columns are known.
pub(crate) struct PostgresQuery {
    pub(crate) options: Options,
    pub(crate) start: Start,
    pub(crate) queries: Vec<String>,
    pub(crate) parameters: Vec<Option<String>>,
    pub(crate) fields: Vec<Field>,
    pub(crate) columns: Vec<Column>,
    /// The columns of each query, as the server has described them, …
    pub(crate) described: Vec<Vec<DescribedColumn>>,
    /// … and how they are decoded, which may differ where their types are the same.
    pub(crate) decodings: Vec<Vec<Decoding>>,
    /// Whether its plan shows that running the query looks into nothing else, …
    pub(crate) is_bare: bool,
    /// … or that it calls nothing but known functions, as far as they have names.
    pub(crate) calls_known: bool,
    /// Sessions between two uses; the one that described the query also reads.
    pub(crate) idle: Idle<Session>,
    /// What all sessions hold, once they have begun together.
    pub(crate) held: OnceLock<Held>,
    /// Whether several sessions read, each at its own moment.
    pub(crate) is_apart: OnceLock<()>,
    /// The query with one answer for all of its parts where it asks for the time.
    pub(crate) at_one_time: OnceLock<String>,
    /// Whether the query's rows are made before the key is compared: see [`Explained::tries_too_early`].
    pub(crate) is_made_first: OnceLock<()>,
    /// The table whose column is the key, or whose rows are split, once it is known.
    pub(crate) table: OnceLock<Table>,
}

/// Why a query stays whole in which not all places that ask for the time can be given one answer.
const TIMED: &str =
    "the query, or a view or function of it, asks for the time, which each session has its own of";

/// What a query does before a condition on its rows may be tried.
#[derive(Default)]
struct MadeFirst {
    /// Whether its rows may stand for others that it takes for equal.
    groups: bool,
    /// The columns that are expressions, from which its own conditions may keep rows.
    columns: Vec<String>,
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
        if self.held.get().is_some() {
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
        let query = self.at_one_time.get().or(self.queries.first());
        query.map(String::as_str).unwrap_or_default()
    }

    /// Gives all parts of the query one answer where it asks for the time.
    fn take_time(&self, stop: &Stop) -> Result<()> {
        let (Some(query), Some(described)) = (self.queries.first(), self.described.first()) else {
            return Ok(());
        };
        let given = self.parameters.len();
        let found = self.with_session(stop, |session| {
            clock::with_one_time(session, query, described, given, stop)
        })?;
        if let Some(query) = found {
            let _ = self.at_one_time.set(query); // one is as good as another
        }
        Ok(())
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

    /// What a query does before a condition on some of its columns, each a column of a table or a view, may be tried.
    fn made_first(&self, query: &str, columns: &[&str], stop: &Stop) -> Result<MadeFirst> {
        let probed = |columns: &[&str]| -> Result<Option<Explained>> {
            let sql = dialect::probe(query, columns);
            let answer = self.with_session(stop, |session| {
                session.attempt(&sql, &self.parameters, stop)
            })?;
            Ok(answer.ok().and_then(Explained::new))
        };
        let mut made_first = MadeFirst {
            groups: true,
            columns: Vec::new(),
        };
        let Some(explained) = probed(columns)? else {
            return Ok(made_first);
        };
        made_first.groups = explained.has_groups();
        if explained.tries_too_early() {
            for column in columns {
                let explained = probed(&[column])?;
                if explained.is_none_or(|explained| explained.tries_too_early()) {
                    made_first.columns.push((*column).to_owned());
                }
            }
        }
        Ok(made_first)
    }

    /// Refuses a query that no longer reads the table that was described, by whose schema another one's is
    /// called now.
    fn reject_other_table(&self, stop: &Stop) -> Result<()> {
        let given = self.parameters.len();
        let found = self.with_session(stop, |session| {
            describe::columns(session, self.query(), given, stop)
        })?;
        let described = self.described.first().map(Vec::as_slice);
        reject_changed(
            described.unwrap_or_default(),
            &found.unwrap_or_default(),
            &[],
        )
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
        // Functions may have a snapshot for each of their statements, and look into tables that are not
        // locked: then the transaction's own snapshot is for all.
        if partitions <= 1 && self.calls_known {
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
            is_serial: !self.calls_known,
        };
        let begun = group.begin(first, partitions.min(max_sessions), stop)?;
        let Some(Together { sessions, held }) = begun else {
            return Ok(None);
        };
        let count = sessions.len();
        *self.idle.lock() = sessions;
        let _ = self.held.set(held); // a read begins once
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
        self.take_time(stop)?;
        let sql = match target {
            Target::Column(index) => dialect::probe(self.query(), &[&self.fields[index].name]),
            Target::Rows => dialect::explain(self.query()),
        };
        let mut explained = self.explain(&sql, stop)?;
        let is_timed = explained.asks_for_time(self.query(), &self.parameters);
        let Target::Column(index) = target else {
            if explained.has_limit() {
                return Ok(Some("the query has a LIMIT"));
            }
            if is_timed {
                return Ok(Some(TIMED));
            }
            let table = self.table_to_split(stop);
            if table.is_err() {
                self.reject_other_table(stop)?;
            }
            let table = table?;
            let _ = self.table.set(table); // found twice, it is the same
            return Ok(None);
        };
        if self.columns[index].entry.is_record() {
            return Ok(Some(
                "the key is a record without a type, whose values cannot be written",
            ));
        }
        if explained.tries_too_early() {
            let query = dialect::evaluated_first(self.query());
            let sql = dialect::probe(&query, &[&self.fields[index].name]);
            explained = self.explain(&sql, stop)?;
            let _ = self.is_made_first.set(()); // found twice, it is the same
        }
        let is_expression = match self.columns[index].table {
            0 => true,
            oid => match self.look_up_table(oid, stop)? {
                Some(table) => self.table.get_or_init(|| table).is_view(),
                None => true,
            },
        };
        let mut reason = explained.indivisible().or(is_timed.then_some(TIMED));
        if reason.is_none() && is_expression {
            reason = explained.makes_other_keys(self.query(), &self.parameters);
        }
        let mut called = explained.called();
        if explained.hides_expressions() {
            // The plan does not show what is called in a list of VALUES; the query does, if it is its own.
            if !has_word(self.query(), dialect::LEXICON, &["VALUES"]) {
                reason = reason.or(Some("a view of the query has a list of VALUES"));
            }
            called.extend(plan::called(self.query()).map(|name| name.to_lowercase()));
        }
        if reason.is_some() {
            return Ok(reason);
        }
        let sql = dialect::are_volatile(&called, &explained.operators(), is_expression);
        let volatile = self.with_session(stop, |session| session.rows(&sql, &[], stop))?;
        Ok((!volatile.is_empty()).then_some("the query calls a volatile function or operator"))
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
            (Target::Column(index), _) => {
                let key = (&self.fields[index].name, &self.columns[index].entry);
                let query = match self.is_made_first.get() {
                    Some(()) if lower.or(upper).is_some() => {
                        &dialect::evaluated_first(self.query())
                    }
                    _ => self.query(),
                };
                Ok(dialect::range(query, key.0, key.1, lower, upper))
            }
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
        let of_tables = |name: &&str| {
            let place = self.fields.iter().position(|field| field.name == *name);
            place.is_some_and(|place| self.columns[place].table != 0)
        };
        let filter = narrowing.filter.as_ref();
        let mut tested: Vec<&str> = filter.map_or_else(Vec::new, Filter::columns);
        tested.retain(of_tables);
        let made_first = if tested.is_empty() {
            MadeFirst::default()
        } else {
            self.made_first(query, &tested, stop)?
        };
        let write = |index: usize, test: &Test, bind: Bind| {
            let (field, column) = (&self.fields[index], &self.columns[index]);
            let is_stored = column.table != 0 && !made_first.columns.contains(&field.name);
            let is_written = is_stored && (column.is_built_in || *test == Test::IsNull);
            is_written.then(|| filter::written(field, test, bind))?
        };
        let narrowed = narrowed(&DIALECT, &self.fields, narrowing, parameters, &write);
        Ok(if narrowed.condition.is_some() && made_first.groups {
            narrowed.select(&dialect::evaluated_first(query), narrowing.limit)
        } else {
            narrowed.select(query, narrowing.limit)
        })
    }

    fn measuring(
        &self,
        query: &str,
        columns: &[String],
        _parameters: &Parameters,
        _stop: &Stop,
    ) -> Result<String> {
        let fields = self.fields.iter().zip(&self.columns);
        let wanted = fields.filter(|(field, _)| columns.contains(&field.name));
        let wanted: Vec<(&str, bool)> = wanted
            .map(|(field, column)| {
                let is_array = column.entry.decoding.is_open_in_dimensions();
                (field.name.as_str(), is_array)
            })
            .collect();
        Ok(dialect::measuring(query, &wanted))
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
                described: &self.described[number],
                decodings: &self.decodings[number],
                calls_known: self.calls_known,
            };
            if let Some(held) = self.held.get() {
                let whole = (number < PLANNED).then_some(self.queries[number].as_str());
                let described = held
                    .described
                    .get(number)
                    .unwrap_or(&self.described[number]);
                let reading = Reading {
                    described,
                    ..reading
                };
                return reading.together(session, whole, &held.locked, output, stop);
            }
            self.in_transaction(session, stop)?;
            let is_bare = self.is_bare && self.queries[number] == query;
            reading.by_itself(session, is_bare, output, stop)
        })
    }
}
