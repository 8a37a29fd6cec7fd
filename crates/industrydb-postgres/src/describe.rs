//! What a query returns, asked from the server before it runs.

use std::sync::{Mutex, OnceLock, PoisonError};

use fallible_iterator::FallibleIterator;
use industrydb_core::query::single_statement;
use industrydb_core::{
    Bounds, Chunk, DatabaseConfig, DatabaseConnector, DescribedQuery, Error, Field, Partition,
    Result, Stop,
};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::connect::{Session, protocol};
use crate::options::Options;
use crate::types::{self, Decoding};
use crate::{dialect, rows};

/// A PostgreSQL server, version 14 or newer.
pub struct PostgresConnector {
    options: Options,
}

impl PostgresConnector {
    /// Checks what the configuration asks for; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for options that PostgreSQL does not have.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_postgres::PostgresConnector;
    ///
    /// let config = DatabaseConfig::from_uri("postgresql://ana@db/sales?sslmode=require")?;
    /// PostgresConnector::new(&config)?;
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for PostgresConnector {
    fn describe(&self, query: &str, stop: &Stop) -> Result<Box<dyn DescribedQuery>> {
        let query = single_statement(query, dialect::LEXICON)?;
        let mut session = Session::open(&self.options, stop)?;
        let described = prepare(&mut session, query, stop)?;
        let decodings = types::decodings(&described, &mut session, stop)?;
        let fields = described
            .into_iter()
            .zip(&decodings)
            .map(|(column, (type_name, decoding))| Field {
                name: column.name,
                database_type: type_name.clone(),
                column_type: decoding.column_type(),
            })
            .collect();
        Ok(Box::new(PostgresQuery {
            options: self.options.clone(),
            query: query.to_owned(),
            fields,
            decodings: decodings
                .into_iter()
                .map(|(_, decoding)| decoding)
                .collect(),
            idle: Mutex::new(vec![session]),
            snapshot: OnceLock::new(),
        }))
    }
}

/// A column as the server describes it.
pub(crate) struct DescribedColumn {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// Precision and scale of a `numeric`, for example; -1 where nothing was declared.
    pub(crate) modifier: i32,
}

/// Has the server parse the query, which runs nothing, and describe its columns.
fn prepare(session: &mut Session, query: &str, stop: &Stop) -> Result<Vec<DescribedColumn>> {
    session.busy = true;
    session.send(|buffer| {
        frontend::parse("", query, [], buffer)?;
        frontend::describe(b'S', "", buffer)?;
        frontend::sync(buffer);
        Ok(())
    })?;
    let (mut columns, mut parameters) = (None, 0);
    loop {
        match session.receive(stop)? {
            Message::ParameterDescription(body) => {
                parameters = body.parameters().count().map_err(|e| protocol(&e))?;
            }
            Message::RowDescription(body) => {
                let described = body.fields().map(|field| {
                    Ok(DescribedColumn {
                        name: field.name().to_owned(),
                        oid: field.type_oid(),
                        modifier: field.type_modifier(),
                    })
                });
                columns = Some(described.collect().map_err(|e| protocol(&e))?);
            }
            Message::ErrorResponse(body) => return Err(session.fail(&body, stop)),
            Message::ReadyForQuery(_) => {
                session.busy = false;
                if parameters > 0 {
                    return Err(Error::configuration(
                        "the query has parameters ($1), which cannot be passed yet: write their \
                         values into the query",
                    ));
                }
                return columns.ok_or_else(|| {
                    Error::configuration(
                        "the query returns no rows: read_sql takes a SELECT, and has not run this \
                         statement",
                    )
                });
            }
            _ => {}
        }
    }
}

/// A query whose columns are known.
struct PostgresQuery {
    options: Options,
    query: String,
    fields: Vec<Field>,
    decodings: Vec<Decoding>,
    /// Sessions between two uses, their transactions open; the one that described the query also
    /// reads.
    idle: Mutex<Vec<Session>>,
    /// The state of the database that all sessions see, once there is to be more than one.
    snapshot: OnceLock<String>,
}

impl PostgresQuery {
    /// Uses an idle session, or a new one that sees the same state; after an error it is closed.
    fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let idle = self.idle().pop(); // the lock must not be held while a session is opened
        let mut session = idle.map_or_else(|| self.open(stop), Ok)?;
        let result = work(&mut session)?;
        self.idle().push(session);
        Ok(result)
    }

    fn open(&self, stop: &Stop) -> Result<Session> {
        let mut session = Session::open(&self.options, stop)?;
        if let Some(snapshot) = self.snapshot.get() {
            session.rows(&dialect::import_snapshot(snapshot), stop)?;
        }
        Ok(session)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DescribedQuery for PostgresQuery {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Exports the snapshot of the session that described the query; sessions to come import it.
    fn share_snapshot(&self, _sessions: usize, stop: &Stop) -> Result<()> {
        let sql = dialect::EXPORT_SNAPSHOT;
        let exported = self.with_session(stop, |session| session.rows(sql, stop))?;
        if let Some(Some(snapshot)) = exported.into_iter().flatten().next() {
            let _ = self.snapshot.set(snapshot); // there is one describing session, and so one name
        }
        Ok(())
    }

    fn bounds(&self, index: usize, stop: &Stop) -> Result<Option<Bounds>> {
        let field = &self.fields[index];
        let sql = match self.decodings[index] {
            Decoding::Int2 | Decoding::Int4 | Decoding::Int8 | Decoding::Oid => {
                dialect::bounds(&self.query, &field.name, false)
            }
            Decoding::Float4 | Decoding::Float8 => dialect::bounds(&self.query, &field.name, true),
            _ => {
                return Err(Error::configuration(format!(
                    "partition_on={:?} has the type {}; a partition key must be an integer or a \
                     floating-point column",
                    field.name, field.database_type
                )));
            }
        };
        let rows = self.with_session(stop, |session| session.rows(&sql, stop))?;
        let [row] = rows.as_slice() else {
            return Err(Error::Internal("min and max make one row".to_owned()));
        };
        let [Some(min), Some(max)] = row.as_slice() else {
            return Ok(None);
        };
        let integers = || Some(Bounds::Integers(min.parse().ok()?, max.parse().ok()?));
        let floats = || Some(Bounds::Floats(min.parse().ok()?, max.parse().ok()?));
        integers().or_else(floats).map(Some).ok_or_else(|| {
            Error::Internal(format!("the bounds {min:?} and {max:?} are no numbers"))
        })
    }

    fn read(&self, partition: &Partition, stop: &Stop) -> Result<Chunk> {
        let sql = dialect::copy(&self.query, &self.fields, &self.decodings, partition);
        self.with_session(stop, |session| {
            rows::copy(session, &sql, &self.fields, &self.decodings, stop)
        })
    }
}
