//! What a query returns, asked from SQLite before it runs.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use industrydb_core::query::single_statement;
use industrydb_core::{
    Bounds, Chunk, DatabaseConfig, DatabaseConnector, DescribedQuery, Error, Field, Partition,
    Result, Stop,
};
use rusqlite::Connection;

use crate::connect::{Options, begin_together};
use crate::cursor::{Cursor, Value};
use crate::types::{ColumnKind, Declared};
use crate::{dialect, rows};

/// An SQLite file.
pub struct SqliteConnector {
    options: Options,
}

impl SqliteConnector {
    /// Checks what the configuration asks for; opens nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where it names no file.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_sqlite::SqliteConnector;
    ///
    /// SqliteConnector::new(&DatabaseConfig::from_uri("sqlite:///data/sales.db")?)?;
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for SqliteConnector {
    fn describe(&self, query: &str, stop: &Stop) -> Result<Box<dyn DescribedQuery>> {
        let query = single_statement(query, dialect::LEXICON)?;
        let connection = self.options.open()?;
        let (fields, kinds) = prepare(&connection, query, stop)?.into_iter().unzip();
        Ok(Box::new(SqliteQuery {
            options: self.options.clone(),
            query: query.to_owned(),
            fields,
            kinds,
            idle: Mutex::new(vec![connection]),
            compound: AtomicBool::new(false),
        }))
    }
}

fn prepare(connection: &Connection, query: &str, stop: &Stop) -> Result<Vec<(Field, ColumnKind)>> {
    let cursor = Cursor::prepare(connection, query, stop)?;
    if !cursor.is_read_only() || cursor.column_count() == 0 {
        return Err(Error::configuration(
            "the query returns no rows or would change the database: read_sql takes a SELECT, and \
             has not run this statement",
        ));
    }
    if cursor.parameter_count() > 0 {
        return Err(Error::configuration(
            "the query has parameters (? or :name), which cannot be passed yet: write their values \
             into the query",
        ));
    }
    let column = |index: c_int| {
        let declared_type = cursor.declared_type(index).unwrap_or_default();
        let kind = ColumnKind::new(Declared::new(&declared_type));
        let field = Field {
            name: cursor.column_name(index),
            database_type: declared_type,
            column_type: kind.column_type(),
        };
        (field, kind)
    };
    Ok((0..cursor.column_count()).map(column).collect())
}

/// A query whose columns are known.
struct SqliteQuery {
    options: Options,
    query: String,
    fields: Vec<Field>,
    kinds: Vec<ColumnKind>,
    /// Connections between two uses; the one that described the query also reads.
    idle: Mutex<Vec<Connection>>,
    /// Whether it is made of several SELECTs; see [`dialect::select`].
    compound: AtomicBool,
}

impl SqliteQuery {
    /// Uses an idle connection, or a new one; after an error it is closed.
    fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.open()?,
        };
        let result = work(&connection)?;
        self.idle().push(connection);
        Ok(result)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether SQLite would run the query as several SELECTs, a recursive one or VALUES.
    fn is_compound(&self, stop: &Stop) -> Result<bool> {
        const SIGNS: [&str; 5] = [
            "COMPOUND",
            "MERGE",
            "RECURSIVE",
            "CONSTANT ROW",
            "VALUES CLAUSE",
        ];
        const DETAIL: c_int = 3;
        self.with_connection(|connection| {
            let mut cursor = Cursor::prepare(connection, &dialect::explain(&self.query), stop)?;
            while cursor.step()? {
                if let Value::Text(detail) = cursor.row().value(DETAIL) {
                    let detail = String::from_utf8_lossy(detail);
                    if SIGNS.iter().any(|sign| detail.contains(sign)) {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        })
    }

    /// The smallest or largest finite number among the keys.
    fn bound(&self, key: &str, end: &str, stop: &Stop) -> Result<Option<Number>> {
        let sql = dialect::bound(&self.query, key, end);
        self.with_connection(|connection| {
            let mut cursor = Cursor::prepare(connection, &sql, stop)?;
            cursor.step()?;
            Ok(match cursor.row().value(0) {
                Value::Integer(value) => Some(Number::Integer(value)),
                Value::Real(value) => Some(Number::Real(value)),
                _ => None,
            })
        })
    }
}

#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Real(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "a bound only places the cuts")]
    fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

impl DescribedQuery for SqliteQuery {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn share_snapshot(&self, sessions: usize, stop: &Stop) -> Result<()> {
        let mut idle = self.idle();
        while idle.len() < sessions {
            idle.push(self.options.open()?);
        }
        begin_together(&self.options, &idle, stop)
    }

    fn bounds(&self, index: usize, stop: &Stop) -> Result<Option<Bounds>> {
        let field = &self.fields[index];
        match self.kinds[index].declared() {
            Declared::Nothing | Declared::Integer | Declared::Real => {}
            _ => {
                return Err(Error::configuration(format!(
                    "partition_on={:?} is declared {}; a partition key must be an integer or a \
                     floating-point column",
                    field.name, field.database_type
                )));
            }
        }
        self.compound
            .store(self.is_compound(stop)?, Ordering::Relaxed);
        let min = self.bound(&field.name, "min", stop)?;
        let max = self.bound(&field.name, "max", stop)?;
        Ok(match min.zip(max) {
            None => None,
            Some((Number::Integer(min), Number::Integer(max))) => Some(Bounds::Integers(min, max)),
            Some((min, max)) => Some(Bounds::Floats(min.as_f64(), max.as_f64())),
        })
    }

    fn read(&self, partition: &Partition, stop: &Stop) -> Result<Chunk> {
        let compound = self.compound.load(Ordering::Relaxed);
        let sql = dialect::select(&self.query, &self.fields, partition, compound);
        self.with_connection(|connection| {
            let mut cursor = Cursor::prepare(connection, &sql, stop)?;
            if usize::try_from(cursor.column_count()) != Ok(self.fields.len()) {
                return Err(Error::Query {
                    message: "the query's columns have changed since it was described".to_owned(),
                    code: None,
                    partition: None,
                });
            }
            rows::read(&mut cursor, &self.fields, &self.kinds, stop)
        })
    }

    fn is_stale(&self, chunk: &Chunk) -> bool {
        rows::is_stale(chunk, &self.kinds)
    }
}
