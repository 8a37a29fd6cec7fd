//! Reads one partition: its statement, and the proof that its rows are of one moment and one table.

use std::time::Instant;

use industrydb_core::{Error, Field, Output, Phase, Result, Stop};

use crate::connect::{Format, Session, Step};
use crate::control;
use crate::describe::{DescribedColumn, description};
use crate::dialect;
use crate::locks::{self, Locked};
use crate::plan::Explained;
use crate::rows::{self, Progress, Rows};
use crate::types::Decoding;

/// What is to be read, and as what.
pub(crate) struct Reading<'a> {
    pub(crate) query: &'a str,
    pub(crate) parameters: &'a [Option<String>],
    pub(crate) fields: &'a [Field],
    pub(crate) decodings: &'a [Decoding],
}

impl Reading<'_> {
    /// Reads in a transaction that already holds all locks, and ends with the last row. COPY says nothing of
    /// types: so in front of it, in the same message, the query is described.
    pub(crate) fn locked(
        &self,
        session: &mut Session,
        described: &[DescribedColumn],
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        output.meter.reach(Phase::Connected);
        let statement = self.statement();
        let steps = [
            Step::Describe(self.query),
            Step::Run(&statement, self.parameters, Format::Binary),
            Step::Run(control::ROLLBACK, &[], Format::Text),
        ];
        session.start_together(&steps, stop)?;
        let found = output.meter.waiting(|| description(session, stop))?;
        reject_changed(described, &found.columns.unwrap_or_default())?;
        let chunk = rows::collect(session, self.rows(), output, stop)?;
        session.collect(stop)?;
        output.push(chunk)
    }

    /// Reads in a transaction of its own, which ends with the last row. COPY says nothing of types, and
    /// takes its snapshot before it has planned: so in front of it, in the same message, the query is
    /// described, and planned, which locks all that it reads.
    pub(crate) fn by_itself(
        &self,
        session: &mut Session,
        described: &[DescribedColumn],
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        output.meter.reach(Phase::Connected);
        let plan = control::plan(self.query);
        let statement = self.statement();
        let mut steps = vec![
            Step::Describe(self.query),
            Step::Run(&plan, self.parameters, Format::Text),
            Step::Run(control::LOCKED, &[], Format::Text),
            Step::Run(&statement, self.parameters, Format::Binary),
            Step::Run(control::LOCKED, &[], Format::Text),
        ];
        if session.in_transaction {
            steps.push(Step::Run(control::ROLLBACK, &[], Format::Text));
        }
        session.may_wait_since = Some(Instant::now());
        session.start_together(&steps, stop)?;
        let found = output.meter.waiting(|| description(session, stop))?;
        reject_changed(described, &found.columns.unwrap_or_default())?;
        output.meter.waiting(|| session.answer(stop))?;
        session.may_wait_since = None;
        let before = Locked::new(session.answer(stop)?)?;
        let chunk = rows::collect(session, self.rows(), output, stop)?;
        let after = Locked::new(session.answer(stop)?)?;
        session.collect(stop)?;
        locks::check_statement(session, &before, &after, stop)?;
        output.push(chunk)
    }

    /// Reads in a transaction whose locks and snapshot several sessions have: `whole` is what all of them
    /// read together, and `locked` what each has locked for it.
    pub(crate) fn together(
        &self,
        session: &mut Session,
        whole: &str,
        locked: &Locked,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        output.meter.reach(Phase::Connected);
        let statement = self.statement();
        let steps = [
            Step::Run(&statement, self.parameters, Format::Binary),
            Step::Run(control::LOCKED, &[], Format::Text),
        ];
        session.start_together(&steps, stop)?;
        let chunk = rows::collect(session, self.rows(), output, stop)?;
        let after = Locked::new(session.answer(stop)?)?;
        session.collect(stop)?;
        let planned = |session: &mut Session| {
            let sql = dialect::explain(whole);
            let plan = Explained::new(session.rows(&sql, self.parameters, stop)?);
            plan.map(|plan| plan.relations())
                .ok_or_else(|| Error::connection("the server's EXPLAIN is no JSON"))
        };
        locks::check_partition(session, locked, &after, planned, stop)?;
        output.push(chunk)
    }

    /// COPY is the fastest way for rows to come, and takes no parameters; with parameters each row is a
    /// message of its own kind, with the same bytes inside.
    fn statement(&self) -> String {
        let query = dialect::with_casts(self.query, self.fields, self.decodings);
        if self.parameters.is_empty() {
            dialect::copy(&query)
        } else {
            query
        }
    }

    fn rows(&self) -> Rows<'_> {
        let mut rows = Rows::new(self.fields, self.decodings);
        if !self.parameters.is_empty() {
            rows.progress = Progress::Unframed;
        }
        rows
    }
}

/// Refuses columns that are not those that were described: their bytes would be read as other values.
pub(crate) fn reject_changed(
    described: &[DescribedColumn],
    found: &[DescribedColumn],
) -> Result<()> {
    let is_same = |(a, b): (&DescribedColumn, &DescribedColumn)| {
        (&a.name, a.oid, a.modifier) == (&b.name, b.oid, b.modifier)
    };
    if described.len() == found.len() && described.iter().zip(found).all(is_same) {
        return Ok(());
    }
    let shown = |columns: &[DescribedColumn]| {
        let column = |column: &DescribedColumn| format!("{:?} {}", column.name, column.type_name());
        columns.iter().map(column).collect::<Vec<_>>().join(", ")
    };
    Err(Error::Query {
        message: format!(
            "the query's columns have changed since it was described; read again\nit had {}\nit has {}",
            shown(described),
            shown(found)
        ),
        code: Some(locks::OBJECT_NOT_IN_PREREQUISITE_STATE.to_owned()),
        partition: None,
    })
}
