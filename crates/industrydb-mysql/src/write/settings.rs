//! The settings of a session while it writes.

use industrydb_core::{Result, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::string;
use crate::wire::errors::unexpected;

/// Settings under which a value is stored as it is, or not at all: truncated values, and NULLs in
/// columns that have none, are errors; a zero is no request for a generated key; timestamps are in
/// UTC.
const SETTINGS: &str = "SET sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,\
     ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', \
     character_set_client = utf8mb4, character_set_connection = utf8mb4";

/// Further settings: a statement without a WHERE is no mistake; MariaDB takes back no rows of earlier
/// statements; all warnings and all rows are told.
const OTHERS: [(&str, &str); 4] = [
    ("sql_safe_updates", "0"),
    ("unique_checks", "1"),
    ("max_error_count", "65535"),
    ("sql_select_limit", "18446744073709551615"),
];

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
}

/// Runs `work` under settings by which no value is changed on its way, and restores the caller's.
pub(crate) fn with_settings<T>(
    session: &mut Session,
    stop: &Stop,
    work: impl FnOnce(&mut Session, Limits) -> Result<T>,
) -> Result<T> {
    let set: Vec<String> = OTHERS
        .map(|(name, value)| format!("{name} = {value}"))
        .into();
    let names: Vec<String> = OTHERS.map(|(name, _)| format!("@@{name}")).into();
    let asked = format!("{ASKED}, {}", names.join(", "));
    let row = session.rows(&asked, stop)?.into_iter().next();
    let told: Vec<String> = row
        .into_iter()
        .flatten()
        .map(Option::unwrap_or_default)
        .collect();
    let [mode, zone, loads, packet_bytes, others @ ..] = &told[..] else {
        return Err(unexpected("the settings of the session"));
    };
    let limits = Limits {
        loads: loads == "1" || loads.eq_ignore_ascii_case("ON"),
        takes_back: true,
        packet_bytes: packet_bytes.parse().unwrap_or(1 << 20),
    };
    session.run(&format!("{SETTINGS}, {}", set.join(", ")), stop)?;
    let result = work(session, limits);
    if !session.busy {
        let own = OTHERS.iter().zip(others);
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
