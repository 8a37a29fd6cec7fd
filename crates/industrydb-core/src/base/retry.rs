//! Connecting again to a server that cannot be reached for a moment. Nothing else is ever tried
//! again: a statement may have been carried out, and a read belongs to one moment.

use std::thread;
use std::time::{Duration, Instant};

use crate::base::config::DatabaseConfig;
use crate::base::error::{Error, Result};
use crate::base::stop::Stop;

/// The most attempts behind the first one.
const MAX_RETRIES: u32 = 100;
/// The pause behind the first attempt, which doubles with each further one …
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a pause goes on before a look at whether the work is to stop.
const POLL: Duration = Duration::from_millis(50);

/// How often to connect again, as the option `connect_retries` says: not at all if there is none.
///
/// # Errors
///
/// [`Error::Configuration`] where it is no number from 0 to 100.
pub fn retries(config: &DatabaseConfig) -> Result<u32> {
    let Some(text) = config.options.get("connect_retries") else {
        return Ok(0);
    };
    let number = text.parse().ok().filter(|retries| *retries <= MAX_RETRIES);
    number.ok_or_else(|| {
        Error::configuration(format!(
            "connect_retries must be a whole number from 0 to {MAX_RETRIES}, not {text:?}"
        ))
    })
}

/// Connects, and again after growing pauses where the error [is transient](Error::is_transient).
///
/// # Errors
///
/// That of the last attempt.
///
/// # Examples
///
/// ```
/// use industrydb_core::{Error, Stop, retry::connected};
///
/// let mut attempts = 0;
/// let session = connected(1, &Stop::default(), || {
///     attempts += 1;
///     if attempts == 1 { Err(Error::unreachable("nobody answers")) } else { Ok("a session") }
/// });
/// assert_eq!(session.ok(), Some("a session"));
/// ```
pub fn connected<T>(
    retries: u32,
    stop: &Stop,
    mut connect: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut length = FIRST_PAUSE;
    for _ in 0..retries {
        match connect() {
            Err(error) if error.is_transient() => {
                log::debug!("connecting again in {} ms: {error}", length.as_millis());
                pause(length, stop)?;
                length = LONGEST_PAUSE.min(length * 2);
            }
            result => return result,
        }
    }
    connect()
}

/// What OpenSSL says of a connection that ended in the middle of a handshake.
const ENDED: &str = "unexpected EOF";

/// Whether a handshake failed because the connection broke: a certificate that is not trusted would
/// fail again.
pub fn is_of_the_network(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<std::io::Error>()
        || error.to_string().contains(ENDED) // OpenSSL has no error of the system's for it
        || error.source().is_some_and(is_of_the_network)
}

/// Waits, and looks whether the work is to stop.
///
/// # Errors
///
/// [`Error::Interrupted`] when it is.
pub fn pause(length: Duration, stop: &Stop) -> Result<()> {
    let until = Instant::now() + length;
    while Instant::now() < until {
        stop.check()?;
        thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
    }
    stop.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(is_transient: bool) -> Error {
        Error::Connection {
            message: "no".to_owned(),
            code: None,
            is_transient,
        }
    }

    #[test]
    fn only_what_may_change_is_tried_again() {
        for (is_transient, retries, expected) in [(true, 2, 3), (true, 0, 1), (false, 2, 1)] {
            let mut attempts = 0;
            let result: Result<()> = connected(retries, &Stop::default(), || {
                attempts += 1;
                Err(refused(is_transient))
            });
            assert!(result.is_err());
            assert_eq!(attempts, expected, "{is_transient}");
        }
        let mut attempts = 0;
        let result = connected(5, &Stop::default(), || {
            attempts += 1;
            if attempts < 2 {
                Err(refused(true))
            } else {
                Ok(attempts)
            }
        });
        assert_eq!(result.ok(), Some(2));
    }

    #[test]
    fn a_pause_ends_with_the_work() {
        let stop = Stop::default();
        let result: Result<()> = connected(MAX_RETRIES, &stop, || {
            stop.set();
            Err(refused(true))
        });
        assert!(matches!(result, Err(Error::Interrupted)));
    }
}
