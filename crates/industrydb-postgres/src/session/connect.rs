//! A session: its opening, its messages, the cancelling of its statements, and its end.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use industrydb_core::connection::{CANCELLED_WAIT, REST_WAIT, not_cancelled};
use industrydb_core::retry::connected;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::message::backend::{ErrorResponseBody, Message, ParameterStatusBody};
use postgres_protocol::message::frontend::{self};

use crate::config::hosts::{Wanted, none_will_do};
use crate::config::options::{Options, SslMode};
use crate::session::start::Start;
use crate::sql::control;
use crate::wire::Buffer;
use crate::wire::errors::{position, protocol, query_error, unexpected};
use crate::wire::socket::{Wire, is_late};
use crate::wire::stream::connect;
use crate::wire::tls::{channel_binding, secured};

/// Time limit for the request to the server to cancel a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a session that ends waits for its cancel request, which then goes on in the background.
const CANCEL_WAIT: Duration = Duration::from_millis(300);

/// Time limit for the login of a session that asks which others hold a lock.
const BLOCKERS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a session that ends waits for its transaction to be rolled back.
const ROLLBACK_TIMEOUT: Duration = Duration::from_millis(300);

/// The encoding of all texts that are sent and received.
const ENCODING: &str = "UTF8";

/// Parameters whose reported values a session keeps.
const NOTED: [&str; 2] = ["server_version", "client_encoding"];

/// How long a statement may wait before the session asks which others hold the lock.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Start of the messages of errors in the caller's statements.
pub(crate) const SETUP: &str = "pre_execution_query";

/// A session that has logged in.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    /// Statements that are sent before every other statement and form one transaction with it.
    pub(crate) prefix: Vec<String>,
    /// Whether the last answer has left a transaction open.
    pub(crate) in_transaction: bool,
    /// Whether the server is still working on a statement.
    pub(crate) busy: bool,
    /// Whether the server has been asked for some rows of a statement, and waits to be asked for more.
    pub(crate) is_asking: bool,
    /// When the server began to work on a statement that may wait for a lock; `None` once the
    /// session has asked which others hold the lock.
    pub(crate) may_wait_since: Option<Instant>,
    /// Character of the statement, from 1, that the last error is about, if the server says so.
    pub(super) place: Option<usize>,
    /// Values of the parameters of [`NOTED`], as the server last reported them.
    parameters: HashMap<&'static str, String>,
    pub(super) options: Options,
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
}

impl Session {
    /// Connects, with retries, and runs the statements that come before all transactions.
    pub(crate) fn open(options: &Options, start: &Start, stop: &Stop) -> Result<Self> {
        Self::open_before(options, start, None, stop)
    }

    /// Does the same as [`Session::open`], with a deadline, if there is one, for the statements.
    pub(crate) fn open_before(
        options: &Options,
        start: &Start,
        deadline: Option<Instant>,
        stop: &Stop,
    ) -> Result<Self> {
        let mut session = connected(options.connect_retries, stop, || {
            Self::log_in_anywhere(options, stop)
        })?;
        session.wire.deadline = deadline;
        if let Err(error) = session.prepare(start, stop) {
            if is_late(&error) {
                session.abandon();
            }
            return Err(error);
        }
        session.wire.deadline = None;
        log::debug!(
            "opened a PostgreSQL session, server process {}",
            session.process_id
        );
        Ok(session)
    }

    /// Logs in to the first host whose server can be reached and is of the wanted kind. A server
    /// that refuses the login ends the search, as in libpq.
    fn log_in_anywhere(options: &Options, stop: &Stop) -> Result<Self> {
        /// `cannot_connect_now`: the server starts, or is not ready for sessions.
        const NOT_NOW: &str = "57P03";
        if options.others.is_empty() && options.wanted == Wanted::Any {
            return Self::log_in_once(options, stop);
        }
        let mut errors = Vec::new();
        for wanted in options.wanted.in_turn() {
            for alone in options.each() {
                let found = Self::log_in_once(&alone, stop)
                    .and_then(|session| session.if_wanted(*wanted, stop));
                match found {
                    Err(error @ Error::Connection { .. })
                        if error.code().is_none_or(|code| code == NOT_NOW) =>
                    {
                        log::debug!("the next host is tried: {error}");
                        errors.push(error);
                    }
                    found => return found,
                }
            }
        }
        Err(none_will_do(&errors))
    }

    /// Returns the session if its server is of the wanted kind.
    fn if_wanted(mut self, wanted: Wanted, stop: &Stop) -> Result<Self> {
        if wanted == Wanted::Any {
            return Ok(self);
        }
        let told = self.script(control::STATE, stop)?;
        let mut told = told.into_iter().flatten().flatten();
        let in_recovery = told.next().is_some_and(|value| value == "t");
        let read_only = told.next().is_some_and(|value| value == "on");
        if wanted.is(in_recovery, read_only) {
            return Ok(self);
        }
        let state = match (in_recovery, read_only) {
            (true, _) => "is a standby",
            (false, true) => "is read-only",
            (false, false) => "is a primary that may be written to",
        };
        let name = Wanted::NAMES.iter().find(|(_, kind)| *kind == wanted);
        let name = name.map_or("", |(name, _)| name);
        Err(Error::connection(format!(
            "the server at {} {state}, and target_session_attrs asks for {name}",
            self.options.address
        )))
    }

    /// Returns the options of the host that the session was opened with.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn log_in_once(options: &Options, stop: &Stop) -> Result<Self> {
        /// `invalid_authorization_specification`: no rule of the server allows this connection.
        const NOT_LET_IN: &str = "28000";
        let deadline = Instant::now() + options.connect_timeout;
        let first = Self::log_in_before(options, deadline, stop);
        // As libpq does it: the server may have rules for sessions with TLS only, or without TLS
        // only.
        match (first, options.otherwise()) {
            (Err(error), Some(otherwise))
                if error.code() == Some(NOT_LET_IN) && Instant::now() < deadline =>
            {
                Self::log_in_before(&otherwise, deadline, stop).map_err(|_| error)
            }
            (first, _) => first,
        }
    }

    fn log_in_before(options: &Options, deadline: Instant, stop: &Stop) -> Result<Self> {
        let stream = connect(options, deadline, stop)?;
        let stream = match secured(stream, options, deadline, stop) {
            // As libpq does it: if TLS fails, `prefer` goes on without it, in the time that is
            // left.
            Err(Error::Connection { .. })
                if options.ssl_mode == SslMode::Prefer && Instant::now() < deadline =>
            {
                connect(options, deadline, stop)?
            }
            secured => secured?,
        };
        let binding = channel_binding(&stream, options.channel_binding);
        let mut session = Self {
            wire: Wire::new(stream, deadline),
            prefix: Vec::new(),
            in_transaction: false,
            busy: false,
            is_asking: false,
            may_wait_since: None,
            place: None,
            parameters: HashMap::new(),
            options: options.clone(),
            process_id: 0,
            secret_key: 0,
        };
        session.log_in(options, binding, stop)?;
        session.wire.logged_in();
        Ok(session)
    }

    /// Returns the major version that the server reports; 0 if it reports none.
    pub(crate) fn version(&self) -> u32 {
        let version = self.parameters.get("server_version");
        let major = version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next());
        major.and_then(|major| major.parse().ok()).unwrap_or(0)
    }

    /// Sends the messages that `write` puts into the buffer.
    pub(crate) fn send(
        &mut self,
        stop: &Stop,
        write: impl FnOnce(&mut Buffer) -> std::io::Result<()>,
    ) -> Result<()> {
        self.place = None;
        let mut buffer = Buffer::new();
        write(&mut buffer).map_err(|error| {
            (self.busy, self.is_asking) = (false, false); // nothing was sent
            // Texts with a NUL byte are all that the protocol cannot carry.
            Error::configuration(format!("this cannot be sent to PostgreSQL: {error}"))
        })?;
        self.wire.send(&buffer, stop)
    }

    /// Waits for a message and parses it.
    pub(crate) fn receive(&mut self, stop: &Stop) -> Result<Message> {
        if let Some(since) = self.may_wait_since
            && !self.wire.arrives_before(since + LOCK_PATIENCE, stop)?
        {
            self.may_wait_since = None;
            self.log_blockers(stop);
        }
        let message = self.wire.next(stop)?;
        let mut bytes = Buffer::from(self.wire.whole(message));
        let message = Message::parse(&mut bytes).map_err(|e| protocol(&e))?;
        let message = message.ok_or_else(|| unexpected("a whole message"))?;
        if let Message::ParameterStatus(body) = &message {
            self.note(body);
        }
        Ok(message)
    }

    /// Keeps a parameter that the server reports, if it is one of [`NOTED`].
    pub(crate) fn note(&mut self, body: &ParameterStatusBody) {
        if let (Ok(name), Ok(value)) = (body.name(), body.value())
            && let Some(name) = NOTED.iter().find(|noted| **noted == name)
        {
            self.parameters.insert(name, value.to_owned());
        }
    }

    /// Returns an error if the server has reported that a statement has changed the encoding of
    /// texts.
    pub(crate) fn check_encoding(&self) -> Result<()> {
        let encoding = self.parameters.get("client_encoding");
        encoding.map_or(Ok(()), |encoding| reject_encoding(encoding))
    }

    /// Resets the encoding of texts if a statement has changed it, and returns an error that says
    /// so.
    pub(crate) fn restore_encoding(&mut self, stop: &Stop) -> Result<()> {
        let Err(error) = self.check_encoding() else {
            return Ok(());
        };
        self.parameters.remove("client_encoding");
        if self.script(control::RESTORE_ENCODING, stop).is_err() {
            self.busy = true; // not usable: a failed transaction would undo the reset
        }
        Err(error)
    }

    /// Logs which sessions hold the lock that this session waits for, asking the server over a
    /// separate session. A failure to ask is not an error.
    fn log_blockers(&self, stop: &Stop) {
        let options = Options {
            connect_timeout: BLOCKERS_TIMEOUT,
            ..self.options.clone()
        };
        let told = Self::log_in_once(&options, stop)
            .and_then(|mut other| other.rows(&control::blockers(self.process_id), &[], stop));
        for row in told.unwrap_or_default() {
            let row: Vec<String> = row.into_iter().flatten().collect();
            let wait = format!(
                "server process {} waits for a lock, for which {}",
                self.process_id,
                row.join(" ")
            );
            log::warn!("{wait}");
            stop.waits_for(wait);
        }
    }

    /// Discards the rest of an answer.
    pub(crate) fn finish(&mut self, stop: &Stop) -> Result<()> {
        self.stop_asking(stop)?;
        loop {
            if let Message::ReadyForQuery(body) = self.receive(stop)? {
                self.ready(body.status());
                return Ok(());
            }
        }
    }

    /// Marks an answer as ended, and keeps the transaction status that came with its end.
    pub(crate) fn ready(&mut self, status: u8) {
        self.busy = false;
        self.may_wait_since = None;
        self.in_transaction = status != b'I';
    }

    /// Discards the rest of an answer that has failed, and returns its error.
    pub(crate) fn fail(&mut self, body: &ErrorResponseBody, stop: &Stop) -> Error {
        let error = query_error(body).unwrap_or_else(|error| error);
        self.place = position(body);
        match self.finish(stop) {
            // A server that says why it ends the session closes it at once.
            Ok(()) | Err(Error::Connection { .. }) => error,
            Err(other) => other,
        }
    }

    /// Ends a statement whose answer is not wanted any more: receives the rest if it is short, and
    /// otherwise has the server cancel the statement.
    pub(crate) fn end_statement(&mut self) -> Result<()> {
        if !self.busy {
            return Ok(());
        }
        match self.finish_within(REST_WAIT) {
            Err(error) if is_late(&error) => {}
            ended => return ended,
        }
        // A request that arrived later would cancel another statement.
        self.cancel(CANCELLED_WAIT)?;
        match self.finish_within(CANCELLED_WAIT) {
            Err(error) if is_late(&error) => Err(not_cancelled()),
            ended => ended,
        }
    }

    /// Discards the rest of an answer that ends within this time.
    fn finish_within(&mut self, patience: Duration) -> Result<()> {
        self.wire.deadline = Some(Instant::now() + patience);
        let finished = self.finish(&Stop::default());
        self.wire.deadline = None;
        finished
    }

    /// Closes a session that has had no answer yet. Nothing is cancelled: its statement ends by
    /// itself, and a pooler may not have passed the statement to any server.
    pub(crate) fn abandon(mut self) {
        self.busy = false;
        self.in_transaction = false;
    }

    /// Asks the server to cancel this session's statement, and waits for at most `patience`; a longer
    /// request goes on in the background.
    fn cancel(&self, patience: Duration) -> Result<()> {
        let request = CancelRequest {
            options: self.options.clone(),
            process_id: self.process_id,
            secret_key: self.secret_key,
            is_secret: self.wire.is_tls(),
        };
        let (answer, answered) = mpsc::channel();
        let send = move || {
            let _ = answer.send(request.send()); // nobody may wait for it any more
        };
        thread::Builder::new()
            .name("industrydb-cancel".to_owned())
            .spawn(send)
            .map_err(|error| Error::Internal(error.to_string()))?;
        match answered.recv_timeout(patience) {
            Ok(result) => result,
            Err(_) => Err(Error::unreachable("no answer yet")),
        }
    }
}

/// A request to cancel the statement of a session.
struct CancelRequest {
    options: Options,
    process_id: i32,
    secret_key: i32,
    /// Whether to send the request over TLS, as the session does: its key lets anybody who reads it
    /// cancel the statement too.
    is_secret: bool,
}

impl CancelRequest {
    /// Sends the request over a connection of its own, and waits until the server closes that
    /// connection. If it were closed from here first, a pooler that has not passed the request on
    /// would give up, and unread data of the TLS handshake would reset the connection and discard
    /// the request.
    fn send(&self) -> Result<()> {
        let stop = Stop::default();
        let deadline = Instant::now() + CANCEL_TIMEOUT;
        let mut stream = connect(&self.options, deadline, &stop)?;
        if self.is_secret {
            stream = secured(stream, &self.options.insisting(), deadline, &stop)?;
        }
        let mut request = Buffer::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        let mut wire = Wire::new(stream, deadline);
        wire.send(&request, &stop)?;
        while wire.fill(&stop).is_ok() {}
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.busy {
            if let Err(error) = self.cancel(CANCEL_WAIT) {
                log::debug!("a statement may go on, since it could not be cancelled: {error}");
            }
        } else if self.in_transaction {
            // A pooler keeps the server's connection only if its transaction has ended.
            self.wire.deadline = Some(Instant::now() + ROLLBACK_TIMEOUT);
            let _ = self.script(control::ROLLBACK, &Stop::default());
        }
        let mut buffer = Buffer::new();
        frontend::terminate(&mut buffer);
        self.wire.send_farewell(&buffer);
    }
}

/// Returns an error unless texts are encoded in UTF-8: in any other encoding, received and sent
/// texts would be read as other characters.
pub(crate) fn reject_encoding(encoding: &str) -> Result<()> {
    if encoding == ENCODING {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "a statement has set client_encoding to {encoding}; texts are exchanged in {ENCODING}: leave \
         client_encoding as it is, the server converts texts of any encoding"
    )))
}
