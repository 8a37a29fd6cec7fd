//! Sends rows to `LOAD DATA LOCAL INFILE`.

use industrydb_core::{Error, Result, Stop};

use crate::session::connect::Session;
use crate::session::run::Answer;
use crate::wire::errors::unexpected;
use crate::wire::packet::Ended;

impl Session {
    /// Runs a `LOAD DATA LOCAL INFILE` of the file `name`, whose content `next` gives a piece at a
    /// time until it returns an empty one. Only a file of this name is sent.
    pub(crate) fn load(
        &mut self,
        sql: &str,
        name: &str,
        mut next: impl FnMut() -> Result<Vec<u8>>,
        stop: &Stop,
    ) -> Result<Ended> {
        self.query(sql, stop)?;
        match self.answer(Some(name), stop)? {
            Answer::File => {}
            Answer::Ended(_) | Answer::Rows(_) => {
                return Err(unexpected("a request for the rows"));
            }
        }
        loop {
            let piece = next()?;
            self.wire.send_patiently(&piece, stop)?;
            if piece.is_empty() {
                break;
            }
        }
        match self.answer(None, stop)? {
            Answer::Ended(ended) => Ok(ended),
            _ => Err(Error::connection("the server has not ended the load")),
        }
    }
}
