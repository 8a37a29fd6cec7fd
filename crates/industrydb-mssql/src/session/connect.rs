//! A session: the driver's client, and the runtime that drives it from this thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use industrydb_core::connector::ANSWER_BYTES;
use industrydb_core::field::reject_duplicate_names;
use industrydb_core::retry::{connected, is_of_the_network};
use industrydb_core::scalar::Scalar;
use industrydb_core::{Answer, CellResult, Error, Frame, Result, Stop};
use mssql_tds::connection::bulk_copy::{BulkCopy, ColumnMapping};
use mssql_tds::connection::tds_client::{
    BufferedRowPoll, ExecuteOptions, ResultSet, StatementResult, TdsClient,
};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::CancelHandle;
use mssql_tds::datatypes::bulk_copy_metadata::BulkCopyColumnMetadata;
use mssql_tds::error::{Error as TdsError, SqlErrorInfo};
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;
use mssql_tds::query::metadata::ColumnMetadata;
use tokio::runtime::{Builder, Runtime};

use crate::columns::rows::Rows;
use crate::columns::sink::Sink;
use crate::columns::writer::Writer;
use crate::config::options::Options;
use crate::sql::dialect;
use crate::sql::metadata::Source;
use crate::types;
use crate::write::insert::{self, Failure};
use crate::write::target::{self, Load};

/// How often a waiting session looks whether the work is to stop.
const POLL: Duration = Duration::from_millis(50);

/// The names that FOR XML and FOR JSON give their one column, whose rows are pieces of a document. The rows counted are
/// those that it is made of.
const DOCUMENTS: [&str; 2] = [
    "XML_F52E2B61-18A1-11d1-B105-00805F49916B",
    "JSON_F52E2B61-18A1-11d1-B105-00805F49916B",
];

/// Whether a result is a document in pieces.
pub(crate) fn is_document(columns: &[ColumnMetadata]) -> bool {
    matches!(columns, [column] if DOCUMENTS.contains(&&*column.column_name))
}

/// What a packet has at least, by the protocol.
const SMALLEST_PACKET_BYTES: u32 = 512;

/// How long the server may take to confirm a cancellation, which has been sent then in any case.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is said of a server that does not answer in time.
const NO_ANSWER: &str = "the server did not answer the login within connect_timeout";

/// A session with the server.
pub(crate) struct Session {
    runtime: Background,
    client: TdsClient,
}

/// A runtime that is not waited for in the end: the system's look-up of a host name cannot be cancelled.
struct Background(Option<Runtime>);

impl Background {
    fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed = |error| Error::Internal(format!("cannot start a runtime: {error}"));
        runtime.map(|runtime| Self(Some(runtime))).map_err(failed)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Session {
    /// Connects, again if need be, logs in, and runs what every session begins with.
    pub(crate) fn open(options: &Options, setup: &[String], stop: &Stop) -> Result<Self> {
        let mut session = connected(options.connect_retries, stop, || {
            Self::log_in(options, stop)
        })?;
        for statement in setup {
            session.run(statement, None, stop)?;
        }
        Ok(session)
    }

    fn log_in(options: &Options, stop: &Stop) -> Result<Self> {
        let runtime = Background::new()?;
        let deadline = Instant::now() + options.patience();
        let client = watched(&runtime, stop, async |cancel| {
            let source = options.data_source();
            let provider = TdsConnectionProvider::new();
            let connecting = provider.create_client(options.context(), &source, Some(cancel));
            // The driver has limits for its steps.
            match tokio::time::timeout_at(deadline.into(), connecting).await {
                Ok(connected) => connected.map_err(failed),
                Err(_) => Err(Error::connection(NO_ANSWER)),
            }
        });
        let client = client.map_err(|error| not_connected(error, options))?;
        // The driver counts on a size that holds more than a packet's header.
        if client.packet_size() < SMALLEST_PACKET_BYTES {
            return Err(Error::connection(format!(
                "the server at {} announces packets of {} bytes",
                options.server(),
                client.packet_size()
            )));
        }
        let mut session = Self { runtime, client };
        let left = deadline.saturating_duration_since(Instant::now());
        let begun = session.run(dialect::BEGIN, Some(left), stop);
        begun.map_err(|error| not_connected(error, options))?;
        Ok(session)
    }

    /// Runs a statement, and passes over what it returns.
    pub(crate) fn run(
        &mut self,
        statement: &str,
        limit: Option<Duration>,
        stop: &Stop,
    ) -> Result<()> {
        let client = &mut self.client;
        watched(&self.runtime, stop, async |cancel| {
            let done = async {
                client
                    .execute(statement.to_owned(), options(cancel))
                    .await?;
                client.close_query().await
            };
            let done = match limit {
                None => Ok(done.await),
                Some(limit) => tokio::time::timeout(limit, done).await,
            };
            match done {
                Ok(done) => done.map_err(failed),
                Err(_) => Err(Error::unreachable(NO_ANSWER)),
            }
        })
    }

    /// Writes rows into a table by a bulk load; returns how many.
    pub(crate) fn bulk_load(
        &mut self,
        table: &str,
        frame: &Frame,
        choose: impl FnOnce(&[BulkCopyColumnMetadata]) -> Result<Load>,
        stop: &Stop,
    ) -> Result<u64> {
        let client = &mut self.client;
        watched(&self.runtime, stop, async |_| {
            let mut load = BulkCopy::new(&mut *client, table)
                .timeout(Duration::ZERO)
                .check_constraints(true)
                .fire_triggers(true)
                .keep_identity(true);
            let found = load.retrieve_destination_metadata().await;
            let Load {
                columns,
                keeps_nulls,
            } = choose(&found.map_err(failed)?)?;
            load = load.keep_nulls(keeps_nulls);
            for column in &columns {
                let mapping = ColumnMapping::by_ordinal(column.source(), column.name());
                load = load.add_column_mapping(mapping);
            }
            let pieces: Vec<_> = frame.pieces().collect::<Result<_>>()?;
            let failure = Failure::default();
            let rows = insert::rows(&columns, &pieces, &failure, stop);
            let loaded = load.write_to_server_zerocopy(rows).await;
            drop(load);
            // What a value is refused for is told by the driver in other words.
            if let Some(error) = failure.take() {
                return Err(error);
            }
            let rows = loaded.map_err(failed)?.rows_affected;
            if rows > 0 {
                // The load has locked the table until the transaction ends.
                let mut again = BulkCopy::new(client, table).timeout(Duration::ZERO);
                let found = again.retrieve_destination_metadata().await;
                target::reject_changed(table, &columns, &found.map_err(failed)?)?;
            }
            Ok(rows)
        })
    }

    /// The columns of a statement's result, which is not read.
    pub(crate) fn columns(
        &mut self,
        query: &str,
        parameters: &[RpcParameter],
        stop: &Stop,
    ) -> Result<Vec<DescribedColumn>> {
        let client = &mut self.client;
        watched(&self.runtime, stop, async |cancel| {
            let done = async {
                let mut result = start(client, query, parameters, cancel).await?;
                while matches!(result, StatementResult::NoRows { .. }) {
                    result = client.advance().await?;
                }
                let columns = if client.on_rows() {
                    let column = |column: &ColumnMetadata| DescribedColumn {
                        name: column.column_name.clone(),
                        type_name: types::name(column),
                        source: None,
                    };
                    client.get_metadata().iter().map(column).collect()
                } else {
                    Vec::new()
                };
                client.close_query().await?;
                Ok(columns)
            };
            done.await.map_err(failed)
        })
    }

    /// The columns that `sp_describe_first_result_set` tells.
    pub(crate) fn described(&mut self, sql: &str, stop: &Stop) -> Result<Vec<DescribedColumn>> {
        let told = self.read(sql, &[], Texts::new, |texts, _| texts.check(), stop)?;
        let column = |row: &Vec<Option<String>>| {
            let cell = |name: &str| {
                let index = told.names.iter().position(|other| other == name)?;
                row.get(index).cloned().flatten()
            };
            // Types of the CLR have no name of the system's.
            let type_name = cell("system_type_name")
                .or_else(|| Some(types::user_defined(&cell("user_type_name")?)))?;
            let source = || {
                Some(Source {
                    database: cell("source_database"),
                    schema: cell("source_schema")?,
                    table: cell("source_table")?,
                    column: cell("source_column")?,
                })
            };
            // What is hidden is a key that the query does not ask for.
            let is_hidden =
                cell("is_hidden").is_some_and(|hidden| hidden == "true" || hidden == "1");
            (!is_hidden).then(|| DescribedColumn {
                name: cell("name").unwrap_or_default(),
                type_name,
                source: source(),
            })
        };
        Ok(told.rows.iter().filter_map(column).collect())
    }

    /// Hands every value of a query's result to a sink, which is made for its columns unless they are refused, and returns
    /// it; `after_row` is called with it and the number of rows so far.
    pub(crate) fn read<S: Sink>(
        &mut self,
        query: &str,
        parameters: &[RpcParameter],
        sink: impl FnOnce(&[ColumnMetadata]) -> Result<S>,
        mut after_row: impl FnMut(&mut S, usize) -> Result<()>,
        stop: &Stop,
    ) -> Result<S> {
        let client = &mut self.client;
        watched(&self.runtime, stop, async |cancel| {
            let first = start(client, query, parameters, cancel).await;
            let mut result = first.map_err(failed)?;
            while matches!(result, StatementResult::NoRows { .. }) {
                result = client.advance().await.map_err(failed)?;
            }
            if !client.on_rows() {
                return Err(Error::configuration(
                    "the query returns no rows: read_sql takes a SELECT",
                ));
            }
            let columns = client.get_metadata();
            let is_document = is_document(columns);
            let mut writer = Writer::new(sink(columns)?, columns.len());
            let mut rows = 0;
            while next_row(client, &mut writer).await.map_err(failed)? {
                writer.check()?;
                rows += 1;
                after_row(writer.sink(), rows)?;
            }
            if let Some(counted) = client.last_result_row_count()
                && counted != writer.rows()
                && !is_document
            {
                return Err(Error::connection(format!(
                    "the server counted {counted} rows, and {} arrived",
                    writer.rows()
                )));
            }
            if client.advance_to_rows().await.map_err(failed)? {
                return Err(Error::configuration(
                    "the query returns several results: read_sql takes a statement that returns one",
                ));
            }
            Ok(writer.into_sink())
        })
    }

    /// Runs a statement, and hands the values of the rows that it returns to columns that are made for them.
    pub(crate) fn execute(
        &mut self,
        statement: &str,
        parameters: &[RpcParameter],
        rows: impl FnOnce(&[ColumnMetadata]) -> Rows<'static>,
        stop: &Stop,
    ) -> Result<Answer> {
        let client = &mut self.client;
        watched(&self.runtime, stop, async |cancel| {
            let answer = executed(client, statement, parameters, rows, cancel).await;
            if let Err(Error::Configuration(_) | Error::Conversion(_)) = answer {
                // The rest of the answer is still to come.
                client.close_query().await.map_err(failed)?;
            }
            answer
        })
    }

    /// All rows of a small result, as text.
    pub(crate) fn texts(
        &mut self,
        query: &str,
        parameters: &[RpcParameter],
        stop: &Stop,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let texts = self.read(
            query,
            parameters,
            Texts::new,
            |texts, _| texts.check(),
            stop,
        )?;
        Ok(texts.rows)
    }
}

/// A column as the server describes it.
pub(crate) struct DescribedColumn {
    /// Empty where the query gives it none.
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) source: Option<Source>,
}

/// A small result as texts.
struct Texts {
    names: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    bytes: usize,
}

impl Texts {
    #[expect(clippy::unnecessary_wraps, reason = "other sinks refuse some columns")]
    fn new(columns: &[ColumnMetadata]) -> Result<Self> {
        let names = columns.iter().map(|column| column.column_name.clone());
        Ok(Self {
            names: names.collect(),
            rows: Vec::new(),
            bytes: 0,
        })
    }

    /// Refuses an answer that is longer than any to such a question.
    fn check(&self) -> Result<()> {
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

/// Writes the next row, and tells whether there was one. What has been received is not waited for, which saves the
/// driver a task per row.
#[inline]
async fn next_row<S: Sink>(
    client: &mut TdsClient,
    writer: &mut Writer<S>,
) -> Result<bool, TdsError> {
    match client.try_next_buffered_row_into(writer)? {
        BufferedRowPoll::Complete => Ok(true),
        BufferedRowPoll::Exhausted => Ok(false),
        BufferedRowPoll::Partial => client.finish_row_into(writer).await.map(|()| true),
        BufferedRowPoll::Pending => client.next_row_into(writer).await,
    }
}

/// Runs a statement, and reads the rows that it returns.
async fn executed(
    client: &mut TdsClient,
    statement: &str,
    parameters: &[RpcParameter],
    rows: impl FnOnce(&[ColumnMetadata]) -> Rows<'static>,
    cancel: &CancelHandle,
) -> Result<Answer> {
    let mut changed = 0;
    let first = start(client, statement, parameters, cancel).await;
    let mut result = first.map_err(failed)?;
    while let StatementResult::NoRows { rows_affected } = result {
        changed += rows_affected.unwrap_or_default();
        result = client.advance().await.map_err(failed)?;
    }
    if !client.on_rows() {
        return Ok(Answer::Changed(changed));
    }
    let rows = rows(client.get_metadata());
    reject_duplicate_names(rows.fields())
        .map_err(|error| Error::configuration(format!("{error}; the statement has been run")))?;
    let width = rows.fields().len();
    let mut writer = Writer::new(rows, width);
    while next_row(client, &mut writer).await.map_err(failed)? {
        writer.check()?;
    }
    if client.advance_to_rows().await.map_err(failed)? {
        return Err(Error::configuration(
            "the statement returns several results: execute takes one that returns one; it has been run",
        ));
    }
    let height = usize::try_from(writer.rows()).unwrap_or(usize::MAX);
    let mut rows = writer.into_sink();
    let chunk = rows.take(height);
    Ok(Answer::Rows(rows.fields().to_vec(), chunk))
}

/// Sends a statement, with parameters by `sp_executesql`.
async fn start(
    client: &mut TdsClient,
    query: &str,
    parameters: &[RpcParameter],
    cancel: &CancelHandle,
) -> Result<StatementResult, TdsError> {
    if parameters.is_empty() {
        return client.execute(query.to_owned(), options(cancel)).await;
    }
    let parameters = parameters.to_vec();
    client
        .execute_sp_executesql(query.to_owned(), parameters, options(cancel))
        .await
}

fn options(cancel: &CancelHandle) -> ExecuteOptions<'_> {
    ExecuteOptions {
        cancel: Some(cancel),
        ..ExecuteOptions::default()
    }
}

/// Runs the driver's work on this thread, and cancels it once `stop` is set.
fn watched<T>(
    runtime: &Background,
    stop: &Stop,
    work: impl AsyncFnOnce(&CancelHandle) -> Result<T>,
) -> Result<T> {
    stop.check()?;
    let cancel = CancelHandle::new();
    let guarded = async {
        let stopped = async {
            while !stop.is_set() {
                tokio::time::sleep(POLL).await;
            }
            cancel.cancel();
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            result = work(&cancel) => result,
            () = stopped => Err(Error::Interrupted),
        }
    };
    // What panics in the driver must not take the process along.
    let result = catch_unwind(AssertUnwindSafe(|| match &runtime.0 {
        Some(runtime) => runtime.block_on(guarded),
        None => Err(Error::Internal("the runtime has ended".to_owned())),
    }));
    match result {
        Ok(Err(_)) if stop.is_set() => Err(Error::Interrupted),
        Ok(result) => result,
        Err(panic) => Err(Error::connection(format!(
            "the SQL Server driver gave up on what the server sent: {}",
            panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given")
        ))),
    }
}

/// The error for a session that could not be opened.
fn not_connected(error: Error, options: &Options) -> Error {
    let server = options.server();
    match error {
        Error::Query {
            message,
            code,
            is_transient,
            ..
        }
        | Error::Connection {
            message,
            code,
            is_transient,
        } => Error::Connection {
            message: format!("cannot connect to the SQL Server at {server}: {message}"),
            code,
            is_transient,
        },
        other => other,
    }
}

/// The error for what the driver says.
fn failed(error: TdsError) -> Error {
    match error {
        TdsError::SqlServerError { diagnostics } => match diagnostics.errors.first() {
            Some(first) if CONSTRAINTS.contains(&first.number) => constraint(first),
            Some(first) => Error::Query {
                message: shown(first),
                code: Some(first.number.to_string()),
                partition: None,
                // A failed login is told as two errors, of which one says why.
                is_transient: diagnostics
                    .errors
                    .iter()
                    .any(|error| TRANSIENT.contains(&error.number)),
            },
            None => Error::connection("the server failed, and did not say why"),
        },
        TdsError::OperationCancelledError(_) => Error::Interrupted,
        TdsError::TimeoutError(kind) => {
            Error::unreachable(format!("the server does not answer: {kind}"))
        }
        // A connection that breaks in the middle of a message may also be told as an error of the protocol.
        broken @ (TdsError::Io(_)
        | TdsError::ConnectionError(_)
        | TdsError::ConnectionClosed(_)
        | TdsError::ProtocolError(_)) => Error::unreachable(broken.to_string()),
        other => {
            let is_broken = match &other {
                TdsError::TlsError(error) => is_of_the_network(error),
                TdsError::TlsHandshakeError { source, .. } => is_of_the_network(source),
                _ => false,
            };
            let message = other.to_string();
            // What could not be looked at tells nothing.
            let (message, _) = message
                .split_once(" Certificate SANs: (unavailable")
                .unwrap_or((&message, ""));
            if is_broken {
                Error::unreachable(message)
            } else {
                Error::connection(message)
            }
        }
    }
}

/// The numbers of errors that pass, of logins and of statements alike.
#[rustfmt::skip]
const TRANSIENT: [u32; 45] = [
    // The network, by the numbers that Windows gives its errors.
    64, 121, 233, 10053, 10054, 10060, 10061,
    // Deadlocks, locks, and conflicts of row versions.
    1204, 1205, 1222, 3960, 3961, 3966, 41301, 41302, 41305, 41325, 41839,
    // A server that starts, stops, is paused, or has no place, memory or worker.
    6005, 8628, 8645, 8651, 10922, 17142, 17197, 18401,
    // A database that is not there now: it recovers, moves, or its replica is no primary one.
    921, 976, 983, 4060, 4221,
    // Azure SQL: no place, moves, pauses.
    10928, 10929, 10936, 40143, 40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920, 49977,
];

/// Duplicate keys, a broken foreign key or CHECK, and a NULL where none may be.
const CONSTRAINTS: [u32; 4] = [2627, 2601, 547, 515];

/// The error for a broken constraint, whose names stand in quotes in the message.
fn constraint(error: &SqlErrorInfo) -> Error {
    let behind = |word: &str| {
        let (_, rest) = error.message.split_once(word)?;
        let quote = rest
            .chars()
            .next()
            .filter(|first| matches!(first, '\'' | '"'))?;
        let (name, _) = rest[1..].split_once(quote)?;
        Some(name.to_owned())
    };
    Error::Constraint {
        message: shown(error),
        code: Some(error.number.to_string()),
        constraint: behind("constraint ").or_else(|| behind("unique index ")),
        table: behind("object ").or_else(|| behind("table ")),
        column: behind("column "),
    }
}

/// The server's message, and where it comes from.
fn shown(error: &SqlErrorInfo) -> String {
    let line = error.line_number.map(|line| format!(", line {line}"));
    let place = error.proc_name.as_deref().filter(|name| !name.is_empty());
    let place = place.map(|name| format!(" in {name}"));
    let server = error.server_name.as_deref().filter(|name| !name.is_empty());
    let server = server.map(|name| format!(", server {name}"));
    format!(
        "{} (class {}, state {}{}{}{})",
        error.message,
        error.class,
        error.state,
        line.unwrap_or_default(),
        place.unwrap_or_default(),
        server.unwrap_or_default()
    )
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
        // NULLs take their place as well.
        let mut texts = Texts::new(&[]).expect("any columns");
        while texts.check().is_ok() {
            texts.push(0, None).expect("a NULL");
            assert!(texts.rows.len() <= ANSWER_BYTES);
        }
    }
}
