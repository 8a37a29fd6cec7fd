//! The connector, which describes a query's result by asking the server before the query runs.

use std::sync::OnceLock;
use std::time::Instant;

use industrydb_core::config::Scheme;
use industrydb_core::field::reject_other_fields;
use industrydb_core::{
    Database, DatabaseConfig, DatabaseConnector, Described, Error, Field, HeldSnapshot, Hold,
    Holder, Idle, Request, Result, Stop,
};

use crate::config::options::{Options, SCHEME};
use crate::connection::PostgresConnection;
use crate::read::clock;
use crate::read::explained::Explained;
use crate::read::group::PLANNED;
use crate::read::query::Column;
use crate::read::query::PostgresQuery;
use crate::read::typed::{is_command, returns_no_rows, with_types};
use crate::session::connect::Session;
use crate::session::describe::{self, Description, description};
use crate::session::held::HeldId;
use crate::session::run::Step;
use crate::session::start::{Purpose, Start};
use crate::sql::dialect::LEXICON;
use crate::sql::{parameters, statements};
use crate::wire::Format;

/// A PostgreSQL server, version 14 or newer.
///
/// # Examples
///
/// ```
/// use industrydb_core::{Database, DatabaseConfig};
/// use industrydb_postgres::PostgresConnector;
///
/// let config = DatabaseConfig::from_uri("postgresql://ana@db/sales?sslmode=require", &[PostgresConnector::SCHEME])?;
/// PostgresConnector::new(&config)?;
/// # Ok::<(), industrydb_core::Error>(())
/// ```
pub struct PostgresConnector {
    options: Options,
}

impl Database for PostgresConnector {
    const SCHEME: Scheme = SCHEME;
    const SHARES_SNAPSHOTS: bool = true;

    fn check_options(config: &DatabaseConfig) -> Result<()> {
        Options::check_names(config)
    }

    fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for PostgresConnector {
    fn connect(&self, stop: &Stop) -> Result<Box<dyn industrydb_core::Connection>> {
        let start = Start::new(&[], Purpose::Anything);
        let session = Session::open(&self.options, &start, stop)?;
        Ok(Box::new(PostgresConnection::new(session)))
    }

    fn holder(&self) -> Option<&dyn Holder> {
        Some(self)
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described> {
        let mut queries = request.statements(LEXICON)?;
        let parameters = parameters::texts(&request.parameters)?;
        let lists = parameters::lists(&request.parameters);
        let mut start = Start::new(
            &request.setup,
            if request.snapshot {
                Purpose::Transaction
            } else {
                Purpose::Statements
            },
        );
        start.held = request.held.as_deref().map(HeldId::parse).transpose()?;
        let mut session = Session::open_first(&self.options, &mut start, stop)?;
        let mut first: Option<(Vec<Field>, Vec<Column>)> = None;
        let (mut described, mut decodings) = (Vec::new(), Vec::new());
        let is_list = queries.len() > 1;
        let (mut is_bare, mut calls_known) = (!is_list, queries.len() <= PLANNED);
        for ((number, query), whole) in (1..).zip(&mut queries).zip(&request.queries) {
            let found = if number <= PLANNED {
                let (found, plan) =
                    prepare_and_plan(&mut session, &start, query, &parameters, stop)
                        .map_err(|error| session.explained(error, query, whole, stop))?;
                is_bare &= plan.as_ref().is_some_and(Explained::is_bare);
                calls_known &= plan.as_ref().is_none_or(Explained::calls_known);
                found
            } else {
                describe::described(&mut session, query, parameters.len(), stop)
                    .map_err(|error| session.explained(error, query, whole, stop))?
            };
            found.reject_lists(&lists, &mut session, stop)?;
            let found = found.columns.filter(|_| !is_command(query));
            let found = found.ok_or_else(returns_no_rows)?;
            if is_list {
                // Each query is read by another session, so the time is fixed for all of them here.
                let given = parameters.len();
                let timed = clock::with_one_time(&mut session, query, &found, given, stop)?;
                *query = timed.unwrap_or_else(|| query.clone());
            }
            let (fields, columns) = with_types(&found, request, &mut session, stop)?;
            described.push(found);
            decodings.push(columns.iter().map(|c| c.entry.decoding.clone()).collect());
            match &first {
                Some((first, _)) => reject_other_fields(first, &fields, number)?,
                None => first = Some((fields, columns)),
            }
        }
        let (fields, columns) = first.ok_or_else(|| Error::configuration("there is no query"))?;
        let reader = PostgresQuery {
            options: self.options.at(session.options()), // all sessions are of one server
            start,
            queries: queries.clone(),
            parameters,
            fields: fields.clone(),
            decodings,
            columns,
            described,
            is_bare,
            calls_known,
            idle: Idle::new(session),
            held: OnceLock::new(),
            is_apart: OnceLock::new(),
        };
        Ok(Described {
            fields,
            queries,
            reader: Box::new(reader),
        })
    }
}

impl Holder for PostgresConnector {
    fn hold(&self, hold: &Hold, stop: &Stop) -> Result<Box<dyn HeldSnapshot>> {
        crate::read::hold::hold(&self.options, hold, stop)
    }
}

/// Has the server describe a query and return its plan. A query that cannot be planned fails later,
/// when it is read.
fn prepare_and_plan(
    session: &mut Session,
    start: &Start,
    query: &str,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<(Description, Option<Explained>)> {
    let plan = statements::explain(query);
    let steps = [
        Step::Describe(query),
        Step::Run(&plan, parameters, Format::Text),
    ];
    session.may_wait_since = Some(Instant::now());
    session.start_together(&steps, stop)?;
    let description = description(session, stop)?;
    let planned = session.answer(stop).and_then(|rows| {
        session.collect(stop)?;
        Ok(Explained::new(rows))
    });
    session.may_wait_since = None;
    let planned = match planned {
        Ok(plan) => plan,
        Err(Error::Query { .. }) => {
            if session.in_transaction {
                session.roll_back(stop)?;
                session.begin(start, start.moment(), start.wait(), stop)?;
            }
            None
        }
        Err(other) => return Err(other),
    };
    Ok((description.of(parameters.len())?, planned))
}
