//! Reads one partition, and checks that its rows belong to one snapshot and to the described table.

use std::time::Instant;

use industrydb_core::{Error, Field, Output, Phase, Result, Stop};

use crate::read::explained::Explained;
use crate::read::locks;
use crate::read::locks::Locked;
use crate::read::rows;
use crate::read::rows::Rows;
use crate::session::connect::Session;
use crate::session::describe::description;
use crate::session::describe::reject_changed;
use crate::session::run::Step;
use crate::sql::control;
use crate::sql::statements;
use crate::types::Decoding;
use crate::types::DescribedColumn;
use crate::wire::Format;

/// A statement to read, and how to decode its result.
pub(crate) struct Reading<'a> {
    pub(crate) query: &'a str,
    pub(crate) parameters: &'a [Option<String>],
    pub(crate) fields: &'a [Field],
    /// The columns as the server has described them.
    pub(crate) described: &'a [DescribedColumn],
    pub(crate) decodings: &'a [Decoding],
    /// Whether the query calls only functions that are known to read no table.
    pub(crate) calls_known: bool,
}

impl Reading<'_> {
    /// Reads in a transaction of its own, which ends after the last row. Binding the statement
    /// describes and plans it, which locks what it reads, and then takes its snapshot. Unless
    /// `is_bare`, the session's locks are compared before and after the rows.
    pub(crate) fn by_itself(
        &self,
        session: &mut Session,
        is_bare: bool,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        output.meter.reach(Phase::Connected);
        let statement = statements::with_casts(self.query, self.fields, self.decodings);
        let run = |sql| Step::Run(sql, &[], Format::Text);
        let mut steps = Vec::new();
        // Parallel workers release the locks that their functions have taken, and count separately
        // what they read.
        steps.extend((!self.calls_known).then(|| run(control::SERIAL)));
        // A stable function reads by the snapshot that binding takes. What commits between binding
        // and the next statement is not in it, so an earlier snapshot judges the function's tables.
        steps.extend((!self.calls_known).then(|| run(control::LOCKED)));
        steps.push(Step::Bind(&statement, self.parameters));
        steps.extend((!is_bare).then(|| run(control::LOCKED)));
        steps.push(Step::Execute);
        steps.extend((!is_bare).then(|| run(control::LOCKED)));
        steps.extend((!self.calls_known).then(|| run(control::READ)));
        if session.in_transaction {
            steps.push(run(control::ROLLBACK));
        }
        session.may_wait_since = Some(Instant::now());
        session.start_together(&steps, stop)?;
        let earlier = if self.calls_known {
            None
        } else {
            session.answer(stop)?;
            Some(Locked::new(session.answer(stop)?)?)
        };
        self.check_columns(session, output, stop)?;
        session.may_wait_since = None;
        let ask = |session: &mut Session| -> Result<Option<Locked>> {
            (!is_bare)
                .then(|| Locked::new(session.answer(stop)?))
                .transpose()
        };
        let before = ask(session)?;
        let rows = Rows::new(self.fields, self.decodings);
        let chunk = rows::collect(session, rows, output, stop)?;
        let after = ask(session)?;
        let read = if self.calls_known {
            Vec::new()
        } else {
            session.answer(stop)?
        };
        session.collect(stop)?;
        if let (Some(before), Some(after)) = (before, after) {
            let before = match earlier {
                Some(earlier) => before.with_snapshot_of(earlier),
                None => before,
            };
            locks::check_read(&before, read)?;
            locks::check_statement(session, &before, &after, stop)?;
        }
        output.push(chunk)
    }

    /// Reads in a transaction with the same locks and snapshot as other sessions. `whole` is the
    /// undivided query, if all sessions have planned it, and `locked` what each session has locked
    /// for it.
    pub(crate) fn together(
        &self,
        session: &mut Session,
        whole: Option<&str>,
        locked: &Locked,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        output.meter.reach(Phase::Connected);
        let statement = statements::with_casts(self.query, self.fields, self.decodings);
        let steps = [
            Step::Bind(&statement, self.parameters),
            Step::Execute,
            Step::Run(control::LOCKED, &[], Format::Text),
        ];
        session.start_together(&steps, stop)?;
        self.check_columns(session, output, stop)?;
        let rows = Rows::new(self.fields, self.decodings);
        let chunk = rows::collect(session, rows, output, stop)?;
        let after = Locked::new(session.answer(stop)?)?;
        session.collect(stop)?;
        let planned = |session: &mut Session| {
            let Some(whole) = whole else {
                return Ok(Vec::new());
            };
            let sql = statements::explain(whole);
            let plan = Explained::new(session.rows(&sql, self.parameters, stop)?);
            plan.map(|plan| plan.relations())
                .ok_or_else(|| Error::connection("the server's EXPLAIN is no JSON"))
        };
        locks::check_partition(session, locked, &after, planned, stop)?;
        if !self.calls_known {
            locks::check_replaced(session, stop)?;
        }
        output.push(chunk)
    }

    /// Checks that the statement's columns are those that were described.
    fn check_columns(&self, session: &mut Session, output: &Output, stop: &Stop) -> Result<()> {
        let found = output.meter.waiting(|| description(session, stop))?;
        let found = found.columns.unwrap_or_default();
        reject_changed(self.described, &found, self.decodings)
    }
}
