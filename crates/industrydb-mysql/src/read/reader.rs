//! Implements [`Reader`], which the planner and the workers call, for a described query.

use industrydb_core::narrow::Narrowing;
use industrydb_core::statements::Statement;
use industrydb_core::{
    Division, Output, Parameters, Partition, Phase, Reader, Result, Stop, Target,
};

use crate::read::divide::divided;
use crate::read::narrowed::narrowed;
use crate::read::query::{APART_WAIT_S, MysqlQuery, decodings_of_sent};
use crate::read::rows::{self, Rows};
use crate::read::together::Group;
use crate::session::run::Answer;
use crate::sql::control;
use crate::wire::errors::unexpected;

impl Reader for MysqlQuery {
    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>> {
        if partitions <= 1 {
            return Ok(Some(1)); // one statement sees one state
        }
        let first = match self.idle.take() {
            Some(session) => session,
            None => self.open(stop)?,
        };
        let group = Group {
            options: &self.options,
            setup: &self.setup,
            queries: &self.queries,
            parameters: &self.parameters,
            described: &self.described,
        };
        let Some(sessions) = group.begin(first, partitions.min(max_sessions), stop)? else {
            return Ok(None);
        };
        let count = sessions.len();
        *self.idle.lock() = sessions;
        let _ = self.is_together.set(()); // a read begins once
        Ok(Some(count))
    }

    /// Limits the waits for tables' definitions: the session that holds one may itself wait for
    /// another session of the read.
    fn begin_apart(&self, _sessions: usize, stop: &Stop) -> Result<bool> {
        let _ = self.is_apart.set(()); // a read begins once
        for session in self.idle.lock().iter_mut() {
            session.run(&control::lock_wait(APART_WAIT_S), stop)?;
        }
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
        let columns = self.described.first().map_or(&[][..], Vec::as_slice);
        let fields = &self.fields;
        self.with_session(stop, |session| {
            narrowed(session, query, fields, columns, narrowing, parameters, stop)
        })
    }

    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()> {
        let number = partition.number;
        let (described, decodings) = (&self.described[number], &self.decodings[number]);
        self.with_session(stop, |session| {
            output.meter.reach(Phase::Connected);
            let statement = session.prepare_kept(&partition.query, stop)?;
            let execute = || session.execute(&statement, &self.parameters, stop);
            let Answer::Rows(columns) = output.meter.waiting(execute)? else {
                return Err(unexpected("rows"));
            };
            let decodings = decodings_of_sent(described, decodings, &columns)?;
            let rows = Rows::new(&self.fields[..], &decodings[..], self.options.zero_dates);
            let (chunk, ended) = rows::collect(session, rows, output, stop)?;
            session.finish(ended, stop)?;
            output.push(chunk)
        })
    }
}
