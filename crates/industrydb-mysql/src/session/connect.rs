//! A session: its opening, the cancelling of its statements, and its end.

use std::borrow::Cow;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use industrydb_core::retry::connected;
use industrydb_core::{Error, Request, Result, Stop};

use crate::config::options::Options;
use crate::session::login::{Greeting, log_in};
use crate::session::prepared::Statement;
use crate::sql::control;
use crate::sql::dialect::SqlMode;
use crate::sql::refusal::reject_settings;
use crate::sql::version::Version;
use crate::wire::packet::status;
use crate::wire::socket::Wire;
use crate::wire::stream::connect;

/// Time limit for the request to the server to cancel a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a session that ends waits for its cancel request, which then goes on in the background.
const CANCEL_WAIT: Duration = Duration::from_millis(300);

/// Command that ends a session.
const QUIT: u8 = 0x01;

/// Start of the messages of errors in the caller's statements.
pub(crate) const SETUP: &str = "pre_execution_query";

/// What the server sends next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The description of a statement that it prepares.
    Prepared,
    /// The first part of the answer to a statement.
    Answer,
    /// Rows of a result.
    Rows,
    /// Something in the middle of these.
    Unknown,
}

/// A session that has logged in.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    pub(crate) options: Options,
    pub(crate) greeting: Greeting,
    pub(crate) mode: SqlMode,
    pub(crate) version: Version,
    /// Name, port and number of the server.
    pub(crate) server: String,
    /// Status that came with the end of the last statement.
    pub(crate) status: u16,
    /// The statement that was prepared last, with its text.
    pub(crate) prepared: Option<(String, Statement)>,
    /// Part of the last statement that the server could not parse.
    pub(crate) refused: Option<String>,
    /// Whether the server is still working on a statement, or its answer has not been received.
    pub(crate) busy: bool,
    /// What the server sends next, while the session is busy.
    pub(crate) expected: Expected,
    /// Whether the caller's statements have locked tables.
    pub(crate) holds_locks: bool,
    /// Statement to be closed once its answer has ended.
    pub(crate) unclosed: Option<Statement>,
}

impl Session {
    /// Connects, with retries, and applies the settings of a session that the caller keeps.
    pub(crate) fn open(options: &Options, stop: &Stop) -> Result<Self> {
        let mut session = Self::logged_in(options, stop)?;
        session.settle(stop)?;
        Ok(session)
    }

    /// Connects, with retries, runs the caller's statements, and applies the settings of a session
    /// that only reads.
    pub(crate) fn open_reading(options: &Options, setup: &[String], stop: &Stop) -> Result<Self> {
        let mut session = Self::logged_in(options, stop)?;
        if !setup.is_empty() {
            session.settle(stop)?;
        }
        for sql in setup {
            let sql = session.as_run(sql);
            reject_settings(&sql, session.mode.lexicon())?;
            session
                .rows(&sql, stop)
                .map_err(|error| error.context(SETUP))?;
        }
        if session.in_transaction() {
            return Err(Error::configuration(
                "pre_execution_query leaves a transaction open, in which the read cannot begin its own",
            ));
        }
        session.settle(stop)?;
        session.run(control::READ_ONLY, stop)?;
        Ok(session)
    }

    fn logged_in(options: &Options, stop: &Stop) -> Result<Self> {
        connected(options.connect_retries, stop, || {
            Self::log_in_once(options, stop)
        })
    }

    pub(crate) fn log_in_once(options: &Options, stop: &Stop) -> Result<Self> {
        let deadline = Instant::now() + options.connect_timeout;
        let stream = connect(options, deadline, stop)?;
        let mut wire = Wire::new(stream, deadline);
        let greeting = log_in(&mut wire, options, deadline, stop)?;
        wire.logged_in();
        if greeting.is_compressed {
            wire.compress();
        }
        log::debug!(
            "opened a session with {}, connection {}",
            greeting.version,
            greeting.connection_id
        );
        Ok(Self {
            wire,
            options: options.clone(),
            greeting,
            mode: SqlMode::default(),
            version: Version::default(),
            server: String::new(),
            status: 0,
            prepared: None,
            refused: None,
            busy: false,
            expected: Expected::Unknown,
            holds_locks: false,
            unclosed: None,
        })
    }

    /// Applies the settings that every statement of ours relies on.
    fn settle(&mut self, stop: &Stop) -> Result<()> {
        self.run(control::SETTINGS, stop)?;
        self.look_at_mode(stop)
    }

    /// Asks for the mode of the session, which a statement may have set, and for the server.
    pub(crate) fn look_at_mode(&mut self, stop: &Stop) -> Result<()> {
        let rows = self.rows(control::MODE_AND_SERVER, stop)?;
        let mut values = rows.into_iter().flatten().map(Option::unwrap_or_default);
        self.mode = SqlMode::new(&values.next().unwrap_or_default());
        self.server = values.next().unwrap_or_default();
        self.version = Version::new(&values.next().unwrap_or_default());
        Ok(())
    }

    /// Returns a statement as the server runs it: without the comments that are SQL to other servers
    /// only.
    pub(crate) fn as_run<'s>(&self, statement: &'s str) -> Cow<'s, str> {
        self.version.run(statement, self.mode.lexicon())
    }

    /// Returns a request with its queries as the server runs them.
    pub(crate) fn request_as_run(&self, request: &Request) -> Request {
        let queries = request.queries.iter();
        Request {
            queries: queries.map(|query| self.as_run(query).into()).collect(),
            ..request.clone()
        }
    }

    /// Returns whether the last statement that has not failed has left a transaction open.
    pub(crate) fn in_transaction(&self) -> bool {
        self.status & status::IN_TRANSACTION != 0
    }

    /// Returns whether each statement is a transaction of its own, unless one has been begun.
    pub(crate) fn autocommits(&self) -> bool {
        self.status & status::AUTOCOMMIT != 0
    }

    /// Asks the server to cancel this session's statement, and waits for at most `patience`; a longer
    /// request goes on in the background. On another server, the number of this session may be that
    /// of somebody else's.
    pub(super) fn cancel(&self, patience: Duration) -> Result<()> {
        let mut options = self.options.clone();
        if self.wire.is_tls() {
            options = options.insisting();
        }
        options.connect_timeout = options.connect_timeout.min(CANCEL_TIMEOUT);
        let sql = control::kill(self.greeting.connection_id);
        let server = self.server.clone();
        let (answer, answered) = mpsc::channel();
        let send = move || {
            let stop = Stop::default();
            let killed = Self::log_in_once(&options, &stop).and_then(|mut session| {
                session.wire.deadline = Some(Instant::now() + CANCEL_TIMEOUT);
                session.look_at_mode(&stop)?;
                if session.server != server {
                    return Err(Error::unreachable("the request has reached another server"));
                }
                session.run(&sql, &stop)
            });
            let _ = answer.send(killed); // nobody may wait for it any more
        };
        thread::Builder::new()
            .name("industrydb-cancel".to_owned())
            .spawn(send)
            .map_err(|error| Error::Internal(error.to_string()))?;
        match answered.recv_timeout(patience) {
            Ok(result) => result.map(drop),
            Err(_) => Err(Error::unreachable("no answer yet")),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.busy
            && let Err(error) = self.cancel(CANCEL_WAIT)
        {
            log::debug!("a statement may go on, since it could not be cancelled: {error}");
        }
        self.wire.send_farewell(&[QUIT]);
    }
}
