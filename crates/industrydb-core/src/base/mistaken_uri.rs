//! Says what a text is that stands in the place of a database's URI. Never repeats the text, which
//! may have a password in any part.

use super::error::Error;
use super::scheme::Scheme;

/// First words of statements.
const STATEMENTS: [&str; 6] = ["SELECT", "WITH", "VALUES", "FROM", "INSERT", "TABLE"];

/// Returns the error for a text that is no URI.
pub(super) fn no_uri(text: &str, schemes: &[Scheme]) -> Error {
    let example = |scheme: &Scheme| {
        let place = if scheme.is_file {
            "/path/to/file"
        } else {
            "user:password@host:port/database"
        };
        format!("{}://{place}", scheme.name)
    };
    let examples: Vec<String> = schemes.iter().map(example).collect();
    Error::configuration(format!(
        "this is not a database URI{}: expected something like {}",
        guess(text, schemes),
        examples.join(" or ")
    ))
}

/// Returns what the text may be instead, as the middle of a message.
fn guess(text: &str, schemes: &[Scheme]) -> &'static str {
    let lower = text.trim().to_lowercase();
    let first = lower.split_whitespace().next().unwrap_or_default();
    let is_kind = |scheme: &Scheme| {
        let mut names = scheme.synonyms.iter().chain([&scheme.name]);
        names.any(|name| {
            lower.starts_with(&format!("{name}:")) || lower.starts_with(&format!("{name}/"))
        })
    };
    if lower.is_empty() {
        ", but an empty text"
    } else if STATEMENTS
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
    {
        ", but a query: the URI is another argument"
    } else if lower.starts_with("jdbc:") {
        ", but one of JDBC: leave out jdbc:, and write user and password in front of the host"
    } else if lower.starts_with(['\'', '"']) {
        ", but one in quotes: leave them out"
    } else if lower.starts_with(['$', '%']) {
        ", but the name of a variable: pass its value"
    } else if lower.starts_with(':') && lower.ends_with(':') {
        ", but the name of a database in memory: put the scheme of a file and :// in front"
    } else if first.contains('=') {
        ", but key=value pairs, as of ODBC: write them as a URI"
    } else if schemes.iter().any(is_kind) {
        ", behind whose kind of database comes ://"
    } else if lower.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        ", but a word: industrydb.database(name) returns a database of the config file"
    } else if schemes.iter().any(|scheme| scheme.is_file) && !lower.contains(['@', ',']) {
        ", but perhaps a path: pass it as a pathlib.Path, or with the scheme of a file in front"
    } else {
        ", as no :// divides the kind of database from its address"
    }
}
