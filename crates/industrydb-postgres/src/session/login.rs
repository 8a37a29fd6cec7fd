//! The login: passwords, SCRAM, and the parameters that the server reports.

use std::time::Instant;

use fallible_iterator::FallibleIterator;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use crate::config::options::{Binding, Options};
use crate::session::connect::Session;
use crate::wire::errors::{login_error, protocol, unexpected};
use crate::wire::socket::Wire;

/// Largest number of hash rounds that a login by SCRAM may take: the limit of `postgres-protocol`
/// and of pgjdbc. PostgreSQL asks for 4096 rounds unless its `scram_iterations` says otherwise.
const MAX_ITERATIONS: u32 = 100_000;

impl Session {
    /// Logs in on a stream that is open.
    pub(crate) fn log_in(
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
        for (name, value) in [
            ("options", &options.start_settings),
            ("TimeZone", &options.time_zone),
            ("DateStyle", &options.date_style),
            ("geqo", &options.geqo),
        ] {
            if let Some(value) = value {
                parameters.push((name, value));
            }
        }
        self.send(stop, |buffer| frontend::startup_message(parameters, buffer))?;
        let require_binding = options.channel_binding == Binding::Require;
        let password = |wire: &mut Wire| {
            let password = options.password.as_ref().ok_or_else(|| {
                Error::connection(format!(
                    "the server asks for the password of user {:?}, and neither the URI nor a service nor \
                     PGPASSWORD nor a password file has one",
                    options.user
                ))
            })?;
            let started = Instant::now();
            let password = password.reveal(stop)?;
            // The time limit is the server's.
            wire.deadline = wire.deadline.map(|deadline| deadline + started.elapsed());
            Ok::<_, Error>(password)
        };
        let (mut bound, mut accepted) = (false, false);
        loop {
            match self.receive(stop)? {
                Message::AuthenticationOk
                | Message::AuthenticationCleartextPassword
                | Message::AuthenticationMd5Password(_)
                    if require_binding && !bound =>
                {
                    return Err(unbound());
                }
                Message::AuthenticationOk => accepted = true,
                Message::ParameterStatus(_) | Message::NoticeResponse(_) => {}
                Message::AuthenticationCleartextPassword => {
                    let password = password(&mut self.wire)?;
                    self.send(stop, |buffer| {
                        frontend::password_message(password.as_bytes(), buffer)
                    })?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let password = password(&mut self.wire)?;
                    let password = password.as_bytes();
                    let hash = md5_hash(options.user.as_bytes(), password, body.salt());
                    self.send(stop, |buffer| {
                        frontend::password_message(hash.as_bytes(), buffer)
                    })?;
                }
                Message::AuthenticationSasl(body) => {
                    let password = password(&mut self.wire)?;
                    let password = password.as_bytes();
                    let mechanism =
                        self.scram(&body, password, binding.take(), require_binding, stop)?;
                    bound = mechanism == SCRAM_SHA_256_PLUS;
                }
                Message::BackendKeyData(body) => {
                    self.process_id = body.process_id();
                    self.secret_key = body.secret_key();
                }
                Message::ReadyForQuery(_) if accepted => return Ok(()),
                Message::ReadyForQuery(_) => return Err(unexpected("a verdict on the login")),
                Message::ErrorResponse(body) => return Err(login_error(&body)?),
                _ => {
                    return Err(Error::connection(
                        "the server asks for a way to log in other than password, md5 or SCRAM",
                    ));
                }
            }
        }
    }

    /// Logs in by SCRAM-SHA-256, bound to the TLS channel if both sides can; returns the mechanism
    /// that was used. The password itself is not sent. RFC 5802, 7677 and 5929.
    fn scram(
        &mut self,
        body: &AuthenticationSaslBody,
        password: &[u8],
        binding: Option<ChannelBinding>,
        require_binding: bool,
        stop: &Stop,
    ) -> Result<&'static str> {
        let mechanisms: Vec<&str> = body.mechanisms().collect().map_err(|e| protocol(&e))?;
        let offers = |mechanism| mechanisms.contains(&mechanism);
        let (mechanism, binding) = match binding {
            Some(binding) if offers(SCRAM_SHA_256_PLUS) => (SCRAM_SHA_256_PLUS, binding),
            // Without the binding, an impostor could test guesses of the password against the
            // proof.
            _ if require_binding => return Err(unbound()),
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
                reject_costly(body.data())?;
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
}

fn unbound() -> Error {
    Error::connection("channel_binding=require, but the login would have none")
}

/// Refuses a challenge that would keep this machine busy for longer than a login may last.
fn reject_costly(challenge: &[u8]) -> Result<()> {
    let challenge = String::from_utf8_lossy(challenge);
    let iterations = challenge
        .split(',')
        .find_map(|part| part.strip_prefix("i="));
    match iterations.and_then(|iterations| iterations.parse::<u32>().ok()) {
        Some(iterations) if iterations > MAX_ITERATIONS => Err(Error::connection(format!(
            "the server asks for {iterations} rounds of hashing the password, and {MAX_ITERATIONS} are the \
             most: lower its scram_iterations, and set the password again"
        ))),
        _ => Ok(()), // an invalid challenge is refused when it is answered
    }
}
