//! Retries connecting to a server that cannot be reached for a moment. Nothing else is retried: a
//! statement may already have been executed, and a read belongs to one point in time.

use std::thread;
use std::time::{Duration, Instant};

use crate::base::config::DatabaseConfig;
use crate::base::error::{Error, Result};
use crate::base::stop::Stop;

/// Largest number of attempts after the first one.
const MAX_RETRIES: u32 = 100;
/// Pause after the first attempt; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Time between two checks of the stop signal during a pause.
const POLL: Duration = Duration::from_millis(50);

/// Returns the number of retries from the option `connect_retries`; 0 if it is not set.
///
/// # Errors
///
/// [`Error::Configuration`] if the option is not a whole number from 0 to 100.
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

/// Connects, and retries after growing pauses if the error [is transient](Error::is_transient).
///
/// # Errors
///
/// The error of the last attempt; [`Error::Interrupted`] if the work is stopped during a pause.
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
                log::info!("connecting again in {} ms: {error}", length.as_millis());
                pause(length, stop)?;
                length = LONGEST_PAUSE.min(length * 2);
            }
            result => return result,
        }
    }
    connect()
}

/// Part of OpenSSL's message for a connection that ended in the middle of a handshake.
const ENDED: &str = "unexpected EOF";

/// Returns whether a handshake failed because the connection broke, so that a retry may succeed. An
/// untrusted certificate would fail again.
pub fn is_of_the_network(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<std::io::Error>()
        || error.to_string().contains(ENDED) // OpenSSL reports no I/O error for this
        || error.source().is_some_and(is_of_the_network)
}

/// Sleeps, and checks the stop signal meanwhile.
///
/// # Errors
///
/// [`Error::Interrupted`] once the work is stopped.
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
