//! Ends statements whose answers are not wanted any more.

use std::time::{Duration, Instant};

use industrydb_core::connection::{CANCELLED_WAIT, REST_WAIT, not_cancelled};
use industrydb_core::{Error, Result, Stop};

use crate::session::connect::{Expected, Session};
use crate::session::run::Answer;
use crate::sql::control;
use crate::wire::errors::unexpected;

impl Session {
    /// Ends the statement whose answer has not been received to its end: receives the rest if it is
    /// short, and otherwise has the server cancel the statement.
    pub(crate) fn end_statement(&mut self) -> Result<()> {
        if !self.busy {
            return Ok(());
        }
        let stop = Stop::default();
        if !self.ends_within(REST_WAIT, &stop)? {
            self.cancel(CANCELLED_WAIT)?;
            if !self.ends_within(CANCELLED_WAIT, &stop)? {
                return Err(not_cancelled());
            }
            // If the statement had ended before, the request ends this one.
            match self.run(control::NOTHING, &stop) {
                Err(error) if self.busy => return Err(error),
                _ => {}
            }
        }
        match self.unclosed.take() {
            Some(statement) => self.close(&statement, &stop),
            None => Ok(()),
        }
    }

    /// Looks whether the transaction is still open after an error, whose packet does not say so.
    pub(crate) fn look_at_transaction(&mut self) {
        // A request to cancel a statement may end this one.
        for _ in 0..2 {
            if self.busy || !self.in_transaction() {
                return;
            }
            self.wire.deadline = Some(Instant::now() + CANCELLED_WAIT);
            let looked = self.run(control::NOTHING, &Stop::default());
            self.wire.deadline = None;
            match looked {
                Ok(_) => return,
                Err(error) => log::debug!("the state of the transaction is not known: {error}"),
            }
        }
    }

    /// Discards the rest of an answer; returns whether it has ended within this time.
    fn ends_within(&mut self, patience: Duration, stop: &Stop) -> Result<bool> {
        let until = Instant::now() + patience;
        self.wire.deadline = Some(until);
        let discarded = self.discard_answer(stop);
        self.wire.deadline = None;
        match discarded {
            Err(_) if !self.busy => Ok(true), // the statement's own error
            Err(_) if Instant::now() >= until => Ok(false),
            discarded => discarded.map(|()| true),
        }
    }

    fn discard_answer(&mut self, stop: &Stop) -> Result<()> {
        match self.expected {
            Expected::Prepared => {
                self.unclosed = Some(self.prepared_answer(stop)?);
                Ok(())
            }
            Expected::Rows => self.discard(stop),
            Expected::Answer => match self.answer(None, stop)? {
                Answer::Rows(_) => self.discard(stop),
                Answer::Ended(ended) => self.finish(ended, stop),
                Answer::File => Err(unexpected("rows")),
            },
            Expected::Unknown => Err(Error::connection(
                "it was stopped in the middle of a part of its answer",
            )),
        }
    }
}
