//! Passwords from libpq's password file:
//! <https://www.postgresql.org/docs/current/libpq-pgpass.html>

use std::fs;
use std::path::PathBuf;

use industrydb_core::Secret;
use industrydb_core::net::address::Address;

use crate::config::settings::{Group, in_home, is_open_to_others};

/// Returns the password of the first line that matches, from the file `named`, or from `~/.pgpass`.
pub(crate) fn password(
    named: Option<PathBuf>,
    address: &Address,
    database: &str,
    user: &str,
) -> Option<Secret> {
    let path = named.or_else(|| in_home(".pgpass"))?;
    if !path.is_file() {
        return None;
    }
    if is_open_to_others(&path, Group::MayNot) {
        log::warn!(
            "the password file {} is ignored, since others may read it: chmod 0600",
            path.display()
        );
        return None;
    }
    let bytes = fs::read(&path).ok()?;
    let text = String::from_utf8_lossy(&bytes); // a comment may be in any encoding
    find(text.trim_start_matches('\u{feff}'), address, database, user).map(Secret::new)
}

/// Finds the password in lines of the form `host:port:database:user:password`. An asterisk matches
/// everything; a backslash escapes a colon or a backslash in a value.
fn find(text: &str, address: &Address, database: &str, user: &str) -> Option<String> {
    let (host, port) = match address {
        Address::Tcp(host, port) => (host.clone(), port.to_string()),
        Address::Unix(path) => {
            let name = path.file_name()?.to_string_lossy();
            let (_, port) = name.rsplit_once('.')?;
            let folder = path.parent()?.to_string_lossy();
            // As in libpq, a socket in the default folder counts as localhost.
            let is_usual = ["/tmp", "/var/run/postgresql", "/run/postgresql"].contains(&&*folder);
            let host = if is_usual { "localhost" } else { &folder };
            (host.to_owned(), port.to_owned())
        }
    };
    let wanted = [host.as_str(), &port, database, user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut fields = fields(line);
            let password = plain(&fields.pop()?);
            let fits = |(field, wanted): (&String, &&str)| field == "*" || plain(field) == **wanted;
            (fields.len() == wanted.len() && fields.iter().zip(&wanted).all(fits))
                .then_some(password)
        })
}

/// Returns a field without its escaping backslashes.
fn plain(field: &str) -> String {
    let mut characters = field.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

/// Splits a line into its fields, which keep their backslashes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_escaped = false;
    for character in line.trim_end_matches(['\r', '\n']).chars() {
        // The password is the rest of the line.
        if character == ':' && !is_escaped && fields.len() < 5 {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(character);
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let file = "# db:5432:sales:ana:comment\n\
                    db:5432:sales\n\
                    other:*:*:*:wrong\n\
                    db:5432:sa\\:les:ana:with\\:colon\\\\and:more\n\
                    db:\\*:*:ana:no port\n\
                    db:*:*:ana:any\n\
                    localhost:*:*:*:socket\n\
                    /run/pg:5433:*:*:folder\n";
        let tcp = Address::Tcp("db".to_owned(), 5432);
        for (address, database, user, expected) in [
            (&tcp, "sa:les", "ana", Some("with:colon\\and:more")),
            (&tcp, "sales", "ana", Some("any")),
            (&tcp, "sales", "bob", None),
            (
                &Address::Unix("/tmp/.s.PGSQL.5432".into()),
                "x",
                "y",
                Some("socket"),
            ),
            (
                &Address::Unix("/run/pg/.s.PGSQL.5433".into()),
                "x",
                "y",
                Some("folder"),
            ),
            (
                &Address::Unix("/run/pg/.s.PGSQL.5432".into()),
                "x",
                "y",
                None,
            ),
        ] {
            assert_eq!(find(file, address, database, user).as_deref(), expected);
        }
    }
}
