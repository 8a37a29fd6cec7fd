//! A request whose columns are known: what the planner asks the server, and the workers read.

use std::sync::OnceLock;

use industrydb_core::narrow::{Bind, Filter, Narrowing, Test, narrowed};
use industrydb_core::statements::Statement;
use industrydb_core::{
    Division, Error, Field, Idle, Output, Parameters, Partition, Reader, Result, Stop, Target,
};

use crate::connect::Session;
use crate::describe::{Column, DescribedColumn};
use crate::dialect::DIALECT;
use crate::divide::Divided;
use crate::options::Options;
use crate::plan::{Explained, Table};
use crate::read::Reading;
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
}

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
    pub(crate) fn with_session<T>(
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

    /// Asks for the plan of a statement with the query inside.
    pub(crate) fn explain(&self, sql: &str, stop: &Stop) -> Result<Explained> {
        let rows = self.with_session(stop, |session| session.rows(sql, &self.parameters, stop))?;
        Explained::new(rows).ok_or_else(|| Error::connection("the server's EXPLAIN is no JSON"))
    }

    pub(crate) fn look_up_table(&self, oid: u32, stop: &Stop) -> Result<Option<Table>> {
        let sql = dialect::table(oid);
        let rows = self.with_session(stop, |session| session.rows(&sql, &[], stop))?;
        Ok(Table::new(rows))
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
}

impl Reader for PostgresQuery {
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

    fn divide(&self, target: Target, stop: &Stop) -> Result<Division<'_>> {
        Divided::new(self, target, stop)
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

    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()> {
        let number = partition.number;
        self.with_session(stop, |session| {
            let reading = Reading {
                query: &partition.query,
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
            let is_bare = self.is_bare && partition.cut.is_none();
            reading.by_itself(session, is_bare, output, stop)
        })
    }
}
