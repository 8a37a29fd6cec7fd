//! The login: passwords, SCRAM, and what the server says of itself.

use fallible_iterator::FallibleIterator;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use crate::connect::Session;
use crate::errors::{login_error, protocol, unexpected};
use crate::options::{Binding, Options};

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
}
