//! Divides the query of a request into partitions by a key.

use industrydb_core::{Divisible, Division, Error, Result, Sample, Stop, Target, Value};

use crate::read::clock;
use crate::read::plan::{self, Key};
use crate::read::query::MssqlQuery;
use crate::sql::derived::Derived;
use crate::sql::keys;

/// Finds the key to divide the query by, or the reason why the query must be read whole.
pub(crate) fn divided<'a>(
    reader: &'a MssqlQuery,
    target: Target,
    stop: &Stop,
) -> Result<Division<'a>> {
    let mut sources = reader.sources(stop)?;
    let index = match target {
        Target::Column(index) => index,
        Target::Rows => {
            reader.with_session(stop, |session| plan::primary_key(session, &sources, stop))?
        }
    };
    let field = &reader.fields[index];
    if !keys::has_order(&field.database_type) {
        return Err(Error::configuration(format!(
            "partition_on={:?} has the type {}, whose values cannot be put in order",
            field.name, field.database_type
        )));
    }
    let source = sources.swap_remove(index);
    let first = reader.queries.get(..1).unwrap_or_default();
    let timed = reader.with_session(stop, |session| clock::at_one_time(session, first, stop))?;
    let query = timed.into_iter().next().unwrap_or_default();
    if let Some(reason) = plan::indivisible(&query) {
        return Ok(Division::Whole(reason));
    }
    let key = Key {
        name: &field.name,
        type_name: &field.database_type,
        source,
    };
    Ok(Division::Cut(Box::new(Divided { reader, query, key })))
}

/// A query that is divided by a column's values.
struct Divided<'a> {
    reader: &'a MssqlQuery,
    /// The query, with its clock functions replaced by one time for all partitions.
    query: String,
    key: Key<'a>,
}

impl Divided<'_> {
    fn derived(&self) -> Derived<'_> {
        Derived::new(&self.query, &self.reader.names)
    }
}

impl Divisible for Divided<'_> {
    fn sample(&self, partitions: usize, stop: &Stop) -> Result<Sample> {
        let keys = Sample::size(partitions);
        let reader = self.reader;
        reader.with_session(stop, |session| {
            let (query, parameters) = (&self.query, &reader.parameters);
            plan::sample(
                session,
                query,
                &self.derived(),
                &self.key,
                parameters,
                keys,
                stop,
            )
        })
    }

    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String {
        self.derived()
            .range(self.key.name, self.key.type_name, lower, upper)
    }
}
