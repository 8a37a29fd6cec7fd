//! Suggests a known name in messages about an unknown one.

use std::cmp::Reverse;

/// Shortest part of a known name that stands for the whole.
const SHORTEST_PART: usize = 3;

/// Returns the end of a message that suggests the names that are [`meant`]. The text is empty if
/// there are none.
///
/// # Examples
///
/// ```
/// use industrydb_core::suggest::did_you_mean;
///
/// assert_eq!(did_you_mean("encrpyt", &["encrypt", "instance"]), ", did you mean \"encrypt\"?");
/// assert_eq!(did_you_mean("ID", &["id", "day"]), ", did you mean \"id\"?");
/// assert_eq!(did_you_mean("ssl", &["sslcert", "sslkey"]), ", did you mean \"sslcert\" or \"sslkey\"?");
/// assert_eq!(did_you_mean("colour", &["encrypt", "instance"]), "");
/// ```
pub fn did_you_mean(name: &str, known: &[&str]) -> String {
    let meant = meant(name, known).into_iter();
    let meant: Vec<String> = meant.map(|other| format!("{other:?}")).collect();
    if meant.is_empty() {
        return String::new();
    }
    format!(", did you mean {}?", meant.join(" or "))
}

/// Returns the known name most similar to `name`, in upper or lower case; or else all known names
/// that contain `name`.
///
/// # Examples
///
/// ```
/// use industrydb_core::suggest::meant;
///
/// assert_eq!(meant("encrpyt", &["encrypt", "instance"]), ["encrypt"]);
/// assert_eq!(meant("SSL", &["sslcert", "sslkey", "user"]), ["sslcert", "sslkey"]);
/// ```
pub fn meant<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    if let Some(other) = nearest(name, known.iter().copied()) {
        return vec![other];
    }
    if name.len() < SHORTEST_PART {
        return Vec::new();
    }
    let lower = name.to_lowercase();
    let has_part = |other: &&str| other.to_lowercase().contains(&lower);
    known.iter().copied().filter(has_part).collect()
}

/// Returns the known name most similar to `name`, in upper or lower case; `None` if no other one is
/// similar enough.
///
/// # Examples
///
/// ```
/// use industrydb_core::suggest::nearest;
///
/// assert_eq!(nearest("oders", ["customers", "orders"]), Some("orders"));
/// assert_eq!(nearest("Orders", ["orders", "Order"]), Some("orders"));
/// assert_eq!(nearest("di", ["day", "id"]), Some("id"));
/// assert_eq!(nearest("invoces", ["invoice", "voices"]), Some("invoice"));
/// assert_eq!(nearest("orders", ["orders", "customers"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let others = known.into_iter().filter(|other| *other != name);
    let near = others.filter_map(|other| {
        let known = other.to_lowercase();
        let mistakes = strsim::damerau_levenshtein(&lower, &known);
        let length = name.chars().count().max(known.chars().count());
        (mistakes <= most_mistakes(length)).then_some((mistakes, length, other))
    });
    // Of two names with as many mistakes, the longer one has more in common.
    let best = near.min_by_key(|(mistakes, length, _)| (*mistakes, Reverse(*length)));
    best.map(|(_, _, other)| other)
}

/// Returns how many letters of a name may be wrong, missing, too many or swapped, by the length of
/// the longer of two names.
fn most_mistakes(length: usize) -> usize {
    match length {
        0 | 1 => 0,
        2..=5 => 1,
        6..=11 => 2,
        _ => length / 4,
    }
}

/// What to check if a connection fails, by a part of the operating system's message.
const ADVICE: [(&str, &str); 5] = [
    (
        "Connection closed by server",
        "; check that a server of this kind listens at this host and port",
    ),
    (
        "Connection refused",
        "; nothing listens there: check the host and the port, and that the server runs",
    ),
    ("lookup address", "; check the name of the host"),
    (
        "No such file",
        "; check the folder and the port, and that the server runs",
    ),
    (
        "timed out",
        "; check the host and the port, and that no firewall is between",
    ),
];

/// Returns the end of a message about a failed connection: what to check.
///
/// # Examples
///
/// ```
/// use industrydb_core::suggest::advice;
///
/// assert!(advice("Connection refused (os error 111)").contains("check the host and the port"));
/// assert_eq!(advice("protocol error"), "");
/// ```
pub fn advice(failure: &str) -> &'static str {
    let fitting = ADVICE.iter().find(|(part, _)| failure.contains(part));
    fitting.map_or("", |(_, advice)| advice)
}
