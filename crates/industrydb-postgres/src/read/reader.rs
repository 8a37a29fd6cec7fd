//! Implements [`Reader`], which the planner and the workers call, for a described query.

use industrydb_core::narrow::{Bind, Filter, Narrowing, Test, narrowed};
use industrydb_core::statements::Statement;
use industrydb_core::{Division, Output, Parameters, Partition, Reader, Result, Stop, Target};

use crate::read::divide::divided;
use crate::read::group::{Group, PLANNED};
use crate::read::partition::Reading;
use crate::read::query::{MadeFirst, PostgresQuery};
use crate::read::together::Together;
use crate::session::connect::Session;
use crate::sql::dialect::DIALECT;
use crate::sql::{filter, statements};

impl Reader for PostgresQuery {
    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>> {
        // Unknown functions may take a snapshot for each of their statements, and read tables that
        // are not locked: then all statements must share the snapshot of the transaction.
        if partitions <= 1 && self.calls_known && self.start.held.is_none() {
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

    /// Limits the waits for locks: the session that holds a lock may itself wait for another
    /// session of the read.
    fn begin_apart(&self, _sessions: usize, _stop: &Stop) -> Result<bool> {
        let _ = self.is_apart.set(()); // a read begins once
        self.idle.lock().iter_mut().for_each(Session::bound_waits);
        Ok(true)
    }

    fn retire(&self) {
        drop(self.idle.take());
    }

    fn release(&self) {
        self.idle.take_all();
    }

    fn divide(&self, target: Target, stop: &Stop) -> Result<Division<'_>> {
        divided(self, target, stop)
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
            narrowed.select(&statements::evaluated_first(query), narrowing.limit)
        } else {
            narrowed.select(query, narrowing.limit)
        })
    }

    fn measuring(&self, query: &str, columns: &[String], _stop: &Stop) -> Result<Option<String>> {
        let fields = self.fields.iter().zip(&self.columns);
        let wanted = fields.filter(|(field, _)| columns.contains(&field.name));
        let wanted: Vec<(&str, bool)> = wanted
            .map(|(field, column)| {
                let is_array = column.entry.decoding.is_open_in_dimensions();
                (field.name.as_str(), is_array)
            })
            .collect();
        Ok(Some(statements::measuring(query, &wanted)))
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
