//! A session: the driver's client and its runtime.

use std::time::{Duration, Instant};

use industrydb_core::connection::{CANCELLED_WAIT, not_cancelled};
use industrydb_core::retry::connected;
use industrydb_core::suggest::advice;
use industrydb_core::{Error, Result, Stop};
use mssql_tds::connection::tds_client::{ExecuteOptions, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::CancelHandle;

use crate::config::options::Options;
use crate::session::runtime::{Background, watched};
use crate::sql::dialect;
use crate::wire::errors::failed;

/// Smallest packet size that the protocol allows.
const SMALLEST_PACKET_BYTES: u32 = 512;

/// Message for a server that does not answer a login in time.
const NO_ANSWER: &str = "the server does not answer the login within connect_timeout";

/// A session with the server.
pub(crate) struct Session {
    runtime: Background,
    client: TdsClient,
    /// Whether work on the client was given up, which may have been in the middle of a message.
    is_lost: bool,
}

impl Session {
    /// Connects and logs in, with retries, and runs the caller's setup statements.
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
        let context = options.context(stop)?;
        let deadline = Instant::now() + options.patience();
        let client = watched(&runtime, stop, async |cancel| {
            let source = options.data_source();
            let provider = TdsConnectionProvider::new();
            let connecting = provider.create_client(context, &source, Some(cancel));
            // The driver limits the time of each step, but not of all together.
            match tokio::time::timeout_at(deadline.into(), connecting).await {
                Ok(connected) => connected.map_err(failed),
                Err(_) => Err(Error::unreachable(NO_ANSWER)),
            }
        });
        let client = client.map_err(|error| not_connected(error, options))?;
        // The driver relies on packets that are larger than their header.
        if client.packet_size() < SMALLEST_PACKET_BYTES {
            return Err(Error::connection(format!(
                "the server at {} announces packets of {} bytes",
                options.server(),
                client.packet_size()
            )));
        }
        let mut session = Self {
            runtime,
            client,
            is_lost: false,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let begun = session.run(dialect::BEGIN, Some(left), stop);
        begun.map_err(|error| not_connected(error, options))?;
        Ok(session)
    }

    /// Runs a statement and discards what it returns; `limit` bounds the wait.
    pub(crate) fn run(
        &mut self,
        statement: &str,
        limit: Option<Duration>,
        stop: &Stop,
    ) -> Result<()> {
        self.work(stop, async |client, cancel| {
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
                Err(_) => Err(Error::unreachable("the server does not answer")),
            }
        })
    }

    /// Runs work on the driver's client, and cancels it once `stop` is set.
    pub(crate) fn work<T>(
        &mut self,
        stop: &Stop,
        work: impl AsyncFnOnce(&mut TdsClient, &CancelHandle) -> Result<T>,
    ) -> Result<T> {
        let (client, is_lost) = (&mut self.client, &mut self.is_lost);
        watched(&self.runtime, stop, async |cancel| {
            *is_lost = true;
            let done = work(client, cancel).await;
            *is_lost = false;
            done
        })
    }

    /// Cancels the statement whose answer has not been received to its end, if there is one.
    pub(crate) fn end_statement(&mut self) -> Result<()> {
        if self.is_lost {
            return Err(Error::connection(
                "it was stopped in the middle of a message",
            ));
        }
        self.work(&Stop::default(), async |client, _| {
            if !client.has_open_batch() {
                return Ok(());
            }
            match client.send_attention_with_timeout(CANCELLED_WAIT).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(not_cancelled()),
                Err(error) => Err(failed(error)),
            }
        })
    }
}

/// Returns execution options with the cancel handle.
pub(crate) fn options(cancel: &CancelHandle) -> ExecuteOptions<'_> {
    ExecuteOptions {
        cancel: Some(cancel),
        ..ExecuteOptions::default()
    }
}

/// Turns an error into a connection error that names the server.
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
            message: format!(
                "cannot connect to the SQL Server at {server}: {message}{}",
                advice(&message)
            ),
            code,
            is_transient,
        },
        other => other,
    }
}
