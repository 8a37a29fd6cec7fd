//! Implements [`Reader`], which the planner and the workers call, for a described query.

use industrydb_core::narrow::Narrowing;
use industrydb_core::statements::Statement;
use industrydb_core::{Division, Output, Parameters, Partition, Reader, Result, Stop, Target};

use crate::read::divide::divided;
use crate::read::explained::Explained;
use crate::read::group::{Group, PLANNED};
use crate::read::narrowed::{measuring, narrowed};
use crate::read::partition::Reading;
use crate::read::query::PostgresQuery;
use crate::read::together::Together;
use crate::session::connect::Session;

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
        let mut explain = |sql: &str| {
            let answer =
                self.with_session(stop, |session| session.attempt(sql, &self.parameters, stop))?;
            Ok(answer.ok().and_then(Explained::new))
        };
        narrowed(
            query,
            &self.fields,
            &self.columns,
            narrowing,
            parameters,
            &mut explain,
        )
    }

    fn measuring(&self, query: &str, columns: &[String], _stop: &Stop) -> Result<Option<String>> {
        Ok(Some(measuring(query, &self.fields, &self.columns, columns)))
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
