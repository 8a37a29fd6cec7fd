//! A connection without a database, which records the statements that it is given.

use std::sync::{Arc, Mutex, PoisonError};

use industrydb_core::builders::PrimitiveBuilder;
use industrydb_core::dialect::{Dialect, limit_offset};
use industrydb_core::statements::Statement;
use industrydb_core::tokens::Lexicon;
use industrydb_core::{
    Answer, Chunk, ChunkColumn, ColumnType, Columns, Connection, Error, Field, Frame, Narrowing,
    OnConflict, Output, Parameters, Request, Result, Stop,
};

/// A connection that records its statements, and whether a transaction is open.
///
/// `FAIL` fails with a query error, and `BREAK` with a connection error; `END` ends the
/// transaction, as a database may do by itself; `PANIC` panics.
#[derive(Default, Clone)]
pub struct FakeConnection(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    statements: Vec<String>,
    in_transaction: bool,
}

impl FakeConnection {
    /// Takes the statements recorded so far out of the record.
    pub fn statements(&self) -> Vec<String> {
        self.noted(|noted| std::mem::take(&mut noted.statements))
    }

    fn noted<T>(&self, work: impl FnOnce(&mut Noted) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connection for FakeConnection {
    fn execute(&mut self, statement: &str, _: &Parameters, stop: &Stop) -> Result<Answer> {
        stop.check()?;
        let first = statement.split(' ').next().unwrap_or_default();
        self.noted(|noted| {
            noted.statements.push(statement.to_owned());
            match first {
                "BEGIN" => noted.in_transaction = true,
                "COMMIT" | "ROLLBACK" | "END" => noted.in_transaction = false,
                _ => {}
            }
        });
        match first {
            "FAIL" => Err(Error::Query {
                message: "a scripted failure".to_owned(),
                code: None,
                partition: None,
                is_transient: false,
            }),
            "BREAK" => Err(Error::connection("a scripted break")),
            "PANIC" => panic!("a scripted fault"),
            _ => Ok(Answer::Changed(1)),
        }
    }

    fn describe(&mut self, _request: &Request, _stop: &Stop) -> Result<Columns> {
        Ok(Columns::of(vec![field()]))
    }

    fn narrowed(&mut self, request: &Request, _: &Narrowing, _: &Stop) -> Result<Statement> {
        Ok((request.statement(DIALECT.lexicon)?, Parameters::default()))
    }

    fn read(
        &mut self,
        request: &Request,
        begin: &mut dyn FnMut(&[Field]) -> Result<()>,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        let query = request.statement(DIALECT.lexicon)?;
        begin(&[field()])?;
        self.execute(&query, &request.parameters, stop)?;
        if !output.is_whole() {
            for number in 1..ROWS {
                stop.check()?;
                output.push(chunk(number))?;
            }
        }
        output.push(chunk(ROWS))
    }

    fn end_statement(&mut self) -> Result<()> {
        self.noted(|noted| noted.statements.push("(ended)".to_owned()));
        Ok(())
    }

    fn insert(&mut self, table: &str, frame: &Frame, _: OnConflict, stop: &Stop) -> Result<u64> {
        self.execute(
            &format!("INSERT INTO {table}"),
            &Parameters::default(),
            stop,
        )?;
        Ok(frame.height() as u64)
    }

    fn has_table(&mut self, _table: &str, _stop: &Stop) -> Result<bool> {
        Ok(false)
    }

    fn in_transaction(&self) -> Option<bool> {
        Some(self.noted(|noted| noted.in_transaction))
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

/// Number of rows of each query, one in each batch.
pub const ROWS: i64 = 5;

/// Returns the only column of each query.
fn field() -> Field {
    Field::new("n", "bigint", ColumnType::Int64)
}

/// Returns a batch of one row.
fn chunk(number: i64) -> Chunk {
    let mut builder = PrimitiveBuilder::<i64>::default();
    builder.push(number);
    Chunk {
        height: 1,
        columns: vec![ChunkColumn {
            array: builder.finish(),
            column_type: ColumnType::Int64,
        }],
    }
}

/// SQL dialect of the connection.
pub const DIALECT: Dialect = Dialect {
    quotes: ('"', '"'),
    lexicon: Lexicon {
        quotes: &[(b'\'', b'\''), (b'"', b'"')],
        line_ends: b"\n",
        nested_comments: false,
        hash_comments: false,
        backslash_in: b"",
        escape_and_dollar_strings: false,
        sigils: b"",
    },
    placeholder: |_| "?".to_owned(),
    named: None,
    window: limit_offset,
    begin: "BEGIN",
    commit: "COMMIT",
    rollback: "ROLLBACK",
    savepoint: "SAVEPOINT",
    release: Some("RELEASE"),
    rollback_to: "ROLLBACK_TO",
    rename_tables: None,
    type_name: |_| None,
    folds_names: false,
    most_values: 100,
    longest_name: None,
    functions: "",
};
