//! A sink that keeps a small result as text.

use industrydb_core::connector::ANSWER_BYTES;
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellResult, Error, Result};
use mssql_tds::query::metadata::ColumnMetadata;

use crate::columns::sink::Sink;

/// A sink that keeps a small result as text.
pub(crate) struct Texts {
    pub(crate) names: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    bytes: usize,
}

impl Texts {
    #[expect(clippy::unnecessary_wraps, reason = "other sinks refuse some columns")]
    pub(crate) fn new(columns: &[ColumnMetadata]) -> Result<Self> {
        let names = columns.iter().map(|column| column.column_name.clone());
        Ok(Self {
            names: names.collect(),
            rows: Vec::new(),
            bytes: 0,
        })
    }

    /// Refuses a result that is larger than any answer to the connector's own queries.
    pub(crate) fn check(&self) -> Result<()> {
        if self.bytes > ANSWER_BYTES {
            return Err(Error::connection(format!(
                "the server's answer to a question about the query is longer than {} MiB",
                ANSWER_BYTES >> 20
            )));
        }
        Ok(())
    }
}

impl Sink for Texts {
    fn push(&mut self, column: usize, value: Option<Scalar>) -> CellResult {
        if column == 0 {
            self.rows.push(Vec::new());
        }
        let text = value.map(|value| match value {
            Scalar::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => other.to_string(),
        });
        self.bytes += size_of_val(&text) + text.as_ref().map_or(0, String::len);
        if let Some(row) = self.rows.last_mut() {
            row.push(text);
        }
        Ok(())
    }

    fn located(&self, column: usize, error: Box<industrydb_core::CellError>, row: usize) -> Error {
        error.at(
            self.names.get(column).map_or("", String::as_str),
            "",
            Some(row),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_our_own_questions_are_bounded() {
        let mut texts = Texts::new(&[]).expect("any columns");
        let long = "x".repeat(1 << 20);
        for _ in 0..ANSWER_BYTES >> 20 {
            texts.check().expect("not yet");
            texts
                .push(0, Some(Scalar::Text(long.as_bytes())))
                .expect("a text");
        }
        texts.check().expect_err("too long");
        // NULLs count towards the limit as well.
        let mut texts = Texts::new(&[]).expect("any columns");
        while texts.check().is_ok() {
            texts.push(0, None).expect("a NULL");
            assert!(texts.rows.len() <= ANSWER_BYTES);
        }
    }
}
