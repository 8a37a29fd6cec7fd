//! The settings of a session while it writes.

use industrydb_core::{Result, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::string;
use crate::wire::errors::{number, unexpected};

/// Settings under which a value is stored as it is, or not at all: truncated values, and NULLs in
/// columns that have none, are errors; a zero is no request for a generated key; timestamps are in
/// UTC.
const SETTINGS: &str = "SET sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,\
     ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', \
     character_set_client = utf8mb4, character_set_connection = utf8mb4";

/// Further settings: a statement without a WHERE is no mistake; MariaDB takes back no rows of earlier
/// statements; all rows and warnings are told.
const OTHERS: [(&str, &str); 4] = [
    ("sql_safe_updates", "0"),
    ("unique_checks", "1"),
    ("sql_select_limit", "18446744073709551615"),
    ("max_error_count", "65535"),
];

/// Error of a setting that the user may not set, as is the last one for most users of MySQL.
const ACCESS_DENIED: u16 = 1227;

/// The server's limits, and the settings that the caller's statements have chosen.
const ASKED: &str = "SELECT @@sql_mode, @@time_zone, @@global.local_infile, @@max_allowed_packet";

/// What the server allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Whether rows may be loaded from the client.
    pub(crate) loads: bool,
    /// Whether rows can be taken back, and a refused statement stores none of its own.
    pub(crate) takes_back: bool,
    /// Largest number of bytes of a packet.
    pub(crate) packet_bytes: usize,
    /// Number of warnings that the server lists.
    pub(crate) warnings: u64,
}

/// Most warnings that a server lists.
const MOST_WARNINGS: u64 = 65_535;

/// Runs `work` under settings by which no value is changed on its way, and restores the caller's.
pub(crate) fn with_settings<T>(
    session: &mut Session,
    stop: &Stop,
    work: impl FnOnce(&mut Session, Limits) -> Result<T>,
) -> Result<T> {
    let names: Vec<String> = OTHERS.map(|(name, _)| format!("@@{name}")).into();
    let asked = format!("{ASKED}, {}", names.join(", "));
    let row = session.rows(&asked, stop)?.into_iter().next();
    let told = row.into_iter().flatten().map(Option::unwrap_or_default);
    let told: Vec<String> = told.collect();
    let [mode, zone, loads, packet_bytes, others @ ..] = &told[..] else {
        return Err(unexpected("the settings of the session"));
    };
    let set = |count: usize| {
        let set = OTHERS.iter().take(count);
        let set: Vec<String> = set
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        format!("{SETTINGS}, {}", set.join(", "))
    };
    let mut count = OTHERS.len();
    let mut warnings = MOST_WARNINGS;
    match session.run(&set(count), stop) {
        Err(error) if number(&error) == Some(ACCESS_DENIED) => {
            count -= 1;
            session.run(&set(count), stop)?;
            warnings = others.last().and_then(|own| own.parse().ok()).unwrap_or(1);
        }
        set => drop(set?),
    }
    let limits = Limits {
        loads: loads == "1" || loads.eq_ignore_ascii_case("ON"),
        takes_back: true,
        packet_bytes: packet_bytes.parse().unwrap_or(1 << 20),
        warnings,
    };
    let result = work(session, limits);
    if !session.busy {
        let own = OTHERS.iter().zip(others).take(count);
        let own: Vec<String> = own
            .map(|((name, _), value)| format!("{name} = {value}"))
            .collect();
        let (mode, zone) = (string(mode), string(zone));
        let restore = format!(
            "SET sql_mode = {mode}, time_zone = {zone}, {}",
            own.join(", ")
        );
        let restored = session.run(&restore, stop);
        return result.and_then(|value| restored.map(|_| value));
    }
    result
}
