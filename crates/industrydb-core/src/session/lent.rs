//! A kept connection as the connector of a stream, which reads on the connection's session.

use std::sync::{Arc, Mutex, PoisonError};

use super::kept::KeptConnection;
use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::read::connection::Connection;
use crate::read::connector::{DatabaseConnector, Described, Division, Reader};
use crate::read::meter::Phase;
use crate::read::output::Output;
use crate::read::partition::{Partition, Target};
use crate::read::request::Request;
use crate::schema::field::{Field, columns_changed};
use crate::schema::value::Parameters;
use crate::sql::narrow::Narrowing;
use crate::sql::statements::Statement;

/// The session of a kept connection, lent to one read of one partition. It goes back once this and
/// all readers that this has described are dropped.
pub struct Lent(Arc<Loan>);

struct Loan {
    kept: Mutex<KeptConnection>,
    /// Connection that the session goes back to.
    home: Arc<Mutex<KeptConnection>>,
}

impl Lent {
    /// Creates the connector of a session that was [lent](KeptConnection::lend) by `home`.
    pub fn new(kept: KeptConnection, home: Arc<Mutex<KeptConnection>>) -> Self {
        Self(Arc::new(Loan {
            kept: Mutex::new(kept),
            home,
        }))
    }
}

impl Loan {
    fn with<T>(&self, work: impl FnOnce(&mut dyn Connection) -> Result<T>) -> Result<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.read_with(work)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let is_poisoned = self.kept.is_poisoned();
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        if is_poisoned {
            kept.close(": an earlier call failed in the middle");
        }
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        home.give_back(kept);
    }
}

impl DatabaseConnector for Lent {
    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described> {
        let (columns, queries) = self.0.with(|connection| {
            let queries = request.statements(connection.dialect().lexicon)?;
            Ok((connection.describe(request, stop)?, queries))
        })?;
        let reader = LentReader {
            loan: Arc::clone(&self.0),
            request: request.clone(),
            fields: columns.fields.clone(),
            open: columns.open,
        };
        Ok(Described {
            fields: columns.fields,
            queries,
            reader: Box::new(reader),
        })
    }

    fn connect(&self, _stop: &Stop) -> Result<Box<dyn Connection>> {
        Err(Error::Internal("a lent session opens no other".to_owned()))
    }
}

/// Reader of a described query on a lent session.
struct LentReader {
    loan: Arc<Loan>,
    request: Request,
    fields: Vec<Field>,
    open: Vec<String>,
}

impl LentReader {
    /// Returns the request with another text of the query.
    fn request_of(&self, query: &str) -> Request {
        Request {
            queries: vec![query.to_owned()],
            ..self.request.clone()
        }
    }
}

impl Reader for LentReader {
    fn begin(&self, _partitions: usize, _sessions: usize, _stop: &Stop) -> Result<Option<usize>> {
        Ok(Some(1))
    }

    fn release(&self) {}

    fn divide(&self, _target: Target, _stop: &Stop) -> Result<Division<'_>> {
        Ok(Division::Whole("the read has one session"))
    }

    fn open_columns(&self, _stop: &Stop) -> Result<Vec<String>> {
        Ok(self.open.clone())
    }

    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement> {
        let request = Request {
            parameters: parameters.clone(),
            ..self.request_of(query)
        };
        self.loan
            .with(|connection| connection.narrowed(&request, narrowing, stop))
    }

    fn measuring(&self, query: &str, columns: &[String], stop: &Stop) -> Result<Option<String>> {
        let request = self.request_of(query);
        self.loan
            .with(|connection| connection.measuring(&request, columns, stop))
    }

    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()> {
        output.meter.reach(Phase::Connected);
        let request = self.request_of(&partition.query);
        let mut begin = |found: &[Field]| reject_changed(&self.fields, found);
        self.loan
            .with(|connection| connection.read(&request, &mut begin, output, stop))
    }
}

/// Refuses columns that have other names or types than the described ones.
fn reject_changed(described: &[Field], found: &[Field]) -> Result<()> {
    let key = |field: &Field| (field.name.clone(), field.column_type.clone());
    if described.iter().map(key).eq(found.iter().map(key)) {
        return Ok(());
    }
    let columns = |fields| <[Field]>::iter(fields).map(|f| (&*f.name, &*f.database_type));
    Err(columns_changed(columns(described), columns(found)))
}
