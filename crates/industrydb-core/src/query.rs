//! What must be known of a query's text before it can stand inside another statement.

use crate::{Error, Result};

/// Cuts off what ends a statement: white space, comments and semicolons behind its last token.
///
/// Strings, quoted identifiers, comments (nested ones too) and dollar quotes are passed over as
/// PostgreSQL and SQLite read them, so that a semicolon inside them ends nothing.
///
/// # Errors
///
/// [`Error::Configuration`] where there is no statement, or more than one.
///
/// # Examples
///
/// ```
/// use industrydb_core::query::single_statement;
///
/// assert_eq!(single_statement("SELECT ';' ; -- done")?, "SELECT ';'");
/// assert!(single_statement("SELECT 1; SELECT 2").is_err());
/// # Ok::<(), industrydb_core::Error>(())
/// ```
pub fn single_statement(text: &str) -> Result<&str> {
    let bytes = text.as_bytes();
    let mut end = 0; // behind the last token of the statement
    let mut ended = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let (length, kind) = match byte {
            b';' => (1, Kind::Semicolon),
            b if b.is_ascii_whitespace() => (1, Kind::Blank),
            b'-' if rest.starts_with(b"--") => (line_comment(rest), Kind::Blank),
            b'/' if rest.starts_with(b"/*") => (block_comment(rest), Kind::Blank),
            b'\'' => (quoted(rest, is_escape_string(bytes, at)), Kind::Token),
            b'"' | b'`' => (quoted(rest, false), Kind::Token),
            b'$' if !continues_identifier(bytes, at) => (dollar_quoted(rest), Kind::Token),
            _ => (1, Kind::Token),
        };
        at += length;
        match kind {
            Kind::Blank => {}
            Kind::Semicolon => ended = end > 0,
            Kind::Token if ended => {
                return Err(Error::configuration(
                    "the query holds more than one statement; pass one SELECT",
                ));
            }
            Kind::Token => end = at,
        }
    }
    match text.get(..end.min(text.len())).map(str::trim_start) {
        None | Some("") => Err(Error::configuration("the query is empty")),
        Some(statement) => Ok(statement.trim_start_matches([';', ' ', '\t', '\r', '\n'])),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Token,
    Blank,
    Semicolon,
}

fn line_comment(rest: &[u8]) -> usize {
    rest.iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a quoted text. A doubled quote reads as two texts side by side, which is as well.
fn quoted(rest: &[u8], backslash_escapes: bool) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' if backslash_escapes => at += 2,
            byte if byte == rest[0] => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Whether the quote at `at` follows the `E` of PostgreSQL's `E'…\'…'`.
fn is_escape_string(bytes: &[u8], at: usize) -> bool {
    at > 0 && matches!(bytes[at - 1], b'e' | b'E') && !continues_identifier(bytes, at - 1)
}

fn continues_identifier(bytes: &[u8], at: usize) -> bool {
    at > 0
        && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_' || bytes[at - 1] >= 0x80)
}

/// The length of `$tag$…$tag$`; 1 where the `$` opens none (a parameter, say).
fn dollar_quoted(rest: &[u8]) -> usize {
    let Some(tag_end) = rest[1..].iter().position(|byte| *byte == b'$') else {
        return 1;
    };
    let tag = &rest[..tag_end + 2];
    let is_tag = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    if !tag[1..=tag_end].iter().all(is_tag) || tag[1].is_ascii_digit() {
        return 1;
    }
    let body = &rest[tag.len()..];
    body.windows(tag.len())
        .position(|window| window == tag)
        .map_or(rest.len(), |at| tag.len() + at + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_statement_is_cut_off() {
        for (text, statement) in [
            ("SELECT 1", "SELECT 1"),
            ("  SELECT 1 ;; \n", "SELECT 1"),
            ("SELECT 1; -- done; really\n/* ; */", "SELECT 1"),
            ("SELECT 1 -- one", "SELECT 1"),
            (";;SELECT 1", "SELECT 1"),
            ("SELECT ';', \"a;b\", `c;d`;", "SELECT ';', \"a;b\", `c;d`"),
            ("SELECT 'it''s;' ;", "SELECT 'it''s;'"),
            (r"SELECT E'\';' ;", r"SELECT E'\';'"),
            (r"SELECT 'a\' ;", r"SELECT 'a\'"),
            ("SELECT $$;$$, $x$;$$;$x$ ;", "SELECT $$;$$, $x$;$$;$x$"),
            ("SELECT $1, $2 ;", "SELECT $1, $2"),
            ("SELECT /* ; /* ; */ ; */ 1;", "SELECT /* ; /* ; */ ; */ 1"),
            ("SELECT 'ä;ö' AS ü;", "SELECT 'ä;ö' AS ü"),
        ] {
            assert_eq!(single_statement(text).expect(text), statement);
        }
    }

    #[test]
    fn none_or_several_statements_are_refused() {
        for text in [
            "",
            " ; ",
            "-- nothing",
            "SELECT 1; DROP TABLE t",
            "SELECT 1;;SELECT 2",
        ] {
            single_statement(text).expect_err(text);
        }
    }

    #[test]
    fn unfinished_quotes_reach_the_database_as_they_are() {
        for text in [
            "SELECT 'a;",
            "SELECT \"a;",
            "SELECT $$a;",
            "SELECT /* a;",
            "SELECT E'\\",
        ] {
            let statement = single_statement(text).expect("left to the database");
            assert!(text.starts_with(statement));
        }
    }
}
