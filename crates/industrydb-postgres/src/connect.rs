//! Opens sessions: login, and the short conversations outside COPY.

use std::time::{Duration, Instant};

use fallible_iterator::FallibleIterator;
use industrydb_core::retry::connected;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, ErrorResponseBody, Message};
use postgres_protocol::message::frontend::{self, BindError};

use crate::dialect;
use crate::errors::{login_error, protocol, query_error, unexpected, without_snapshot};
use crate::options::{Address, Binding, Options, SslMode};
use crate::tls::{channel_binding, secured};
use crate::wire::{Stream, Wire};

/// How long to try to reach a server for the end of a statement that nobody waits for any more.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// The buffers of `postgres-protocol`.
pub(crate) type Buffer = bytes::BytesMut;

/// How sessions begin, beside where they connect to.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// Statements of the caller's, run first.
    pub(crate) setup: Vec<String>,
    pub(crate) purpose: Purpose,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read in one transaction, which all of its statements are in.
    Transaction,
    /// To read by statements of their own, where a pooler gives no transactions.
    Statements,
    /// To do whatever its caller asks for.
    Anything,
}

/// How the server is to write the values of a result.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Format {
    Text = 0,
    Binary = 1,
}

/// A session that has logged in.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    /// Whether each statement is a transaction of its own.
    alone: bool,
    /// Whether the last answer has left a transaction open.
    pub(crate) in_transaction: bool,
    /// Whether the server is still working on a statement.
    pub(crate) busy: bool,
    address: Address,
    process_id: i32,
    secret_key: i32,
}

impl Session {
    /// Connects, again if need be, and begins what the session is for.
    pub(crate) fn open(options: &Options, start: &Start, stop: &Stop) -> Result<Self> {
        let mut session = connected(options.connect_retries, stop, || {
            Self::log_in_once(options, start, stop)
        })?;
        session.begin(start, stop)?;
        log::debug!(
            "opened a PostgreSQL session, server process {}",
            session.process_id
        );
        Ok(session)
    }

    fn log_in_once(options: &Options, start: &Start, stop: &Stop) -> Result<Self> {
        let deadline = Instant::now() + options.connect_timeout;
        let connect = || Stream::connect(&options.address, options.connect_timeout, stop);
        let stream = connect()?;
        let stream = match secured(stream, options, deadline, stop) {
            // As libpq does it: preferring TLS means doing without where it fails.
            Err(Error::Connection { .. }) if options.ssl_mode == SslMode::Prefer => connect()?,
            secured => secured?,
        };
        let binding = channel_binding(&stream, options.channel_binding);
        let mut session = Self {
            wire: Wire::new(stream, deadline),
            alone: start.purpose == Purpose::Statements,
            in_transaction: false,
            busy: false,
            address: options.address.clone(),
            process_id: 0,
            secret_key: 0,
        };
        session.log_in(options, binding, stop)?;
        session.wire.deadline = None;
        Ok(session)
    }

    /// Runs the caller's statements, and begins the session's one transaction if it is to have one.
    fn begin(&mut self, start: &Start, stop: &Stop) -> Result<()> {
        for sql in &start.setup {
            self.rows_of_script(sql, stop)
                .map_err(|error| error.context("pre_execution_query"))?;
            if self.in_transaction {
                return Err(Error::configuration(
                    "pre_execution_query leaves a transaction open, in which the read cannot begin its own",
                ));
            }
        }
        if start.purpose == Purpose::Transaction {
            self.rows_of_script(dialect::BEGIN, stop)
                .map_err(without_snapshot)?;
        }
        Ok(())
    }

    fn log_in(
        &mut self,
        options: &Options,
        mut binding: Option<ChannelBinding>,
        stop: &Stop,
    ) -> Result<()> {
        let mut parameters = vec![
            ("user", options.user.as_str()),
            ("database", options.database.as_str()),
            ("application_name", options.application_name.as_str()),
            ("client_encoding", "UTF8"),
        ];
        if let Some(start_settings) = &options.start_settings {
            parameters.push(("options", start_settings));
        }
        self.send(stop, |buffer| frontend::startup_message(parameters, buffer))?;
        let require_binding = options.channel_binding == Binding::Require;
        let password = || {
            options.password.as_ref().ok_or_else(|| {
                Error::connection(format!(
                    "the server asks for the password of user {:?}, and neither the URI nor \
                     PGPASSWORD nor a password file has one",
                    options.user
                ))
            })
        };
        let mut bound = false;
        loop {
            match self.receive(stop)? {
                Message::AuthenticationOk
                | Message::AuthenticationCleartextPassword
                | Message::AuthenticationMd5Password(_)
                    if require_binding && !bound =>
                {
                    return Err(Error::connection(
                        "channel_binding=require, but the login would have none",
                    ));
                }
                Message::AuthenticationOk
                | Message::ParameterStatus(_)
                | Message::NoticeResponse(_) => {}
                Message::AuthenticationCleartextPassword => {
                    let password = password()?.reveal().as_bytes();
                    self.send(stop, |buffer| frontend::password_message(password, buffer))?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let password = password()?.reveal().as_bytes();
                    let hash = md5_hash(options.user.as_bytes(), password, body.salt());
                    self.send(stop, |buffer| {
                        frontend::password_message(hash.as_bytes(), buffer)
                    })?;
                }
                Message::AuthenticationSasl(body) => {
                    let password = password()?.reveal().as_bytes();
                    let mechanism = self.scram(&body, password, binding.take(), stop)?;
                    bound = mechanism == SCRAM_SHA_256_PLUS;
                }
                Message::BackendKeyData(body) => {
                    self.process_id = body.process_id();
                    self.secret_key = body.secret_key();
                }
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => return Err(login_error(&body)?),
                _ => {
                    return Err(Error::connection(
                        "the server asks for a way to log in other than password, md5 or SCRAM",
                    ));
                }
            }
        }
    }

    /// SCRAM-SHA-256, bound to the TLS channel where both sides can: returns which it was. The
    /// password itself is not sent. RFC 5802, 7677 and 5929.
    fn scram(
        &mut self,
        body: &AuthenticationSaslBody,
        password: &[u8],
        binding: Option<ChannelBinding>,
        stop: &Stop,
    ) -> Result<&'static str> {
        let mechanisms: Vec<&str> = body.mechanisms().collect().map_err(|e| protocol(&e))?;
        let offers = |mechanism| mechanisms.contains(&mechanism);
        let (mechanism, binding) = match binding {
            Some(binding) if offers(SCRAM_SHA_256_PLUS) => (SCRAM_SHA_256_PLUS, binding),
            Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => {
                return Err(Error::connection(format!(
                    "the server offers only SASL mechanisms that are not supported: {mechanisms:?}"
                )));
            }
        };
        let mut scram = ScramSha256::new(password, binding);
        self.send(stop, |buffer| {
            frontend::sasl_initial_response(mechanism, scram.message(), buffer)
        })?;
        match self.receive(stop)? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(|e| protocol(&e))?;
            }
            Message::ErrorResponse(body) => return Err(login_error(&body)?),
            _ => return Err(unexpected("a SCRAM challenge")),
        }
        self.send(stop, |buffer| {
            frontend::sasl_response(scram.message(), buffer)
        })?;
        match self.receive(stop)? {
            Message::AuthenticationSaslFinal(body) => {
                scram.finish(body.data()).map_err(|e| protocol(&e))?;
                Ok(mechanism)
            }
            Message::ErrorResponse(body) => Err(login_error(&body)?),
            _ => Err(unexpected("a SCRAM verdict")),
        }
    }

    /// Puts messages together and sends them.
    pub(crate) fn send(
        &mut self,
        stop: &Stop,
        write: impl FnOnce(&mut Buffer) -> std::io::Result<()>,
    ) -> Result<()> {
        let mut buffer = Buffer::new();
        write(&mut buffer).map_err(|error| {
            self.busy = false; // nothing was sent
            // Texts with a NUL byte are all that the protocol cannot carry.
            Error::configuration(format!("this cannot be sent to PostgreSQL: {error}"))
        })?;
        self.wire.send(&buffer, stop)
    }

    /// Waits for a message and takes it apart.
    pub(crate) fn receive(&mut self, stop: &Stop) -> Result<Message> {
        let message = self.wire.next(stop)?;
        let mut bytes = Buffer::from(self.wire.whole(message));
        match Message::parse(&mut bytes).map_err(|e| protocol(&e))? {
            Some(message) => Ok(message),
            None => Err(unexpected("a whole message")),
        }
    }

    /// Passes over what is left of an answer.
    pub(crate) fn finish(&mut self, stop: &Stop) -> Result<()> {
        loop {
            if let Message::ReadyForQuery(body) = self.receive(stop)? {
                self.ready(body.status());
                return Ok(());
            }
        }
    }

    /// Notes that an answer has ended, with what the server says of the transaction.
    pub(crate) fn ready(&mut self, status: u8) {
        self.busy = false;
        self.in_transaction = status != b'I';
    }

    /// Ends an answer that began with an error, and returns that error.
    pub(crate) fn fail(&mut self, body: &ErrorResponseBody, stop: &Stop) -> Error {
        let error = query_error(body).unwrap_or_else(|error| error);
        match self.finish(stop) {
            // A server that says why it ends the session closes it at once.
            Ok(()) | Err(Error::Connection { .. }) => error,
            Err(other) => other,
        }
    }

    /// Sends a statement, whose answer is then to be received. Without parameters it goes as a script,
    /// so that it may be a COPY too.
    pub(crate) fn start(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        format: Format,
        stop: &Stop,
    ) -> Result<()> {
        self.busy = true;
        let alone = self.alone;
        self.send(stop, |buffer| {
            match (parameters, alone) {
                ([], false) => return frontend::query(sql, buffer),
                ([], true) => {
                    return frontend::query(&format!("{}; {sql}", dialect::ALONE), buffer);
                }
                (_, false) => {}
                (_, true) => run(dialect::ALONE, &[], &[Format::Text], buffer)?,
            }
            run(sql, parameters, &[format], buffer)?;
            frontend::sync(buffer);
            Ok(())
        })
    }

    /// Sends a statement by the extended protocol, which takes one that returns rows of any kind. Each column's values
    /// come in a format of its own.
    pub(crate) fn start_bound(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        formats: &[Format],
        stop: &Stop,
    ) -> Result<()> {
        self.busy = true;
        self.send(stop, |buffer| {
            run(sql, parameters, formats, buffer)?;
            frontend::sync(buffer);
            Ok(())
        })
    }

    /// Runs a statement and returns its rows as text.
    pub(crate) fn rows(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        stop: &Stop,
    ) -> Result<TextRows> {
        self.start(sql, parameters, Format::Text, stop)?;
        self.collect(stop)
    }

    /// Runs statements that are no part of a transaction yet.
    fn rows_of_script(&mut self, sql: &str, stop: &Stop) -> Result<TextRows> {
        self.busy = true;
        self.send(stop, |buffer| frontend::query(sql, buffer))?;
        self.collect(stop)
    }

    fn collect(&mut self, stop: &Stop) -> Result<TextRows> {
        let mut rows = Vec::new();
        loop {
            match self.receive(stop)? {
                Message::DataRow(body) => {
                    let buffer = body.buffer();
                    let row = body
                        .ranges()
                        .map(|range| {
                            Ok(range.map(|range| String::from_utf8_lossy(&buffer[range]).into()))
                        })
                        .collect()
                        .map_err(|e| protocol(&e))?;
                    rows.push(row);
                }
                // The server would wait for rows for ever.
                Message::CopyInResponse(_) => {
                    self.send(stop, |buffer| {
                        frontend::copy_fail("there is nothing to copy", buffer)
                    })?;
                }
                Message::ErrorResponse(body) => return Err(self.fail(&body, stop)),
                Message::ReadyForQuery(body) => {
                    self.ready(body.status());
                    return Ok(rows);
                }
                _ => {}
            }
        }
    }

    /// Runs a statement which may fail and leave the session as it was: then there are no rows.
    pub(crate) fn attempt(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        stop: &Stop,
    ) -> Result<std::result::Result<TextRows, Error>> {
        if !self.alone {
            self.rows_of_script(dialect::SAVEPOINT, stop)?;
        }
        match self.rows(sql, parameters, stop) {
            Err(error @ Error::Query { .. }) => {
                if !self.alone {
                    self.rows_of_script(dialect::ROLLBACK, stop)?;
                }
                Ok(Err(error))
            }
            Err(other) => Err(other),
            Ok(rows) => Ok(Ok(rows)),
        }
    }

    /// Asks the server, over a connection of its own, to end the statement of this session.
    fn cancel(&self) {
        let mut buffer = Buffer::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut buffer);
        if let Ok(stream) = Stream::connect(&self.address, CANCEL_TIMEOUT, &Stop::default()) {
            Wire::new(stream, Instant::now()).send_farewell(&buffer);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.busy {
            self.cancel();
        }
        let mut buffer = Buffer::new();
        frontend::terminate(&mut buffer);
        self.wire.send_farewell(&buffer);
    }
}

/// Rows of values as text; `None` is NULL.
pub(crate) type TextRows = Vec<Vec<Option<String>>>;

/// The messages that run one statement with parameters, which travel as text.
fn run(
    sql: &str,
    parameters: &[Option<String>],
    formats: &[Format],
    buffer: &mut Buffer,
) -> std::io::Result<()> {
    frontend::parse("", sql, [], buffer)?;
    let bound = frontend::bind(
        "",
        "",
        [Format::Text as i16],
        parameters,
        |value: &Option<String>, buffer: &mut Buffer| {
            Ok(match value {
                Some(text) => {
                    buffer.extend_from_slice(text.as_bytes());
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        },
        formats.iter().map(|format| *format as i16),
        buffer,
    );
    match bound {
        Ok(()) => {}
        Err(BindError::Serialization(error)) => return Err(error),
        Err(BindError::Conversion(error)) => return Err(std::io::Error::other(error)),
    }
    frontend::execute("", 0, buffer)
}
