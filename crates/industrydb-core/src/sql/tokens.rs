//! What must be known of a query's text before it can stand inside another statement.

use crate::base::error::{Error, Result};

/// How a database's SQL is divided into tokens, as far as its ends matter.
#[derive(Debug, Clone, Copy)]
pub struct Lexicon {
    /// What opens a string or a quoted identifier, and what closes it.
    pub quotes: &'static [(u8, u8)],
    /// What ends a comment that begins with `--`.
    pub line_ends: &'static [u8],
    /// Whether `/* /* */ */` is one comment.
    pub nested_comments: bool,
    /// Whether there are `E'…\'…'` and `$tag$…$tag$`.
    pub escape_and_dollar_strings: bool,
    /// What names are made of beside letters, digits, `_` and `$`.
    pub sigils: &'static [u8],
}

/// Cuts off what ends a statement: white space, comments and semicolons behind its last token.
///
/// Strings, quoted identifiers and comments are passed over as the database reads them, so that a
/// semicolon inside them ends nothing.
///
/// # Errors
///
/// [`Error::Configuration`] where there is no statement, or more than one, or a NUL character.
///
/// # Examples
///
/// ```
/// use industrydb_core::tokens::{single_statement, Lexicon};
///
/// let lexicon = Lexicon {
///     quotes: &[(b'\'', b'\''), (b'"', b'"')],
///     line_ends: b"\n",
///     nested_comments: false,
///     escape_and_dollar_strings: false,
///     sigils: b"",
/// };
/// assert_eq!(single_statement("SELECT ';' ; -- done", lexicon)?, "SELECT ';'");
/// assert!(single_statement("SELECT 1; SELECT 2", lexicon).is_err());
/// # Ok::<(), industrydb_core::Error>(())
/// ```
pub fn single_statement(text: &str, lexicon: Lexicon) -> Result<&str> {
    if text.contains('\0') {
        return Err(Error::configuration(
            "the query holds a NUL character, behind which databases read nothing",
        ));
    }
    let mut statement = None;
    let mut ended = false;
    for token in tokens(text, lexicon) {
        match token.kind {
            Kind::Blank => {}
            Kind::Semicolon => ended = statement.is_some(),
            _ if ended => {
                return Err(Error::configuration(
                    "the query holds more than one statement; pass one SELECT",
                ));
            }
            _ => {
                let start = statement.map_or(token.start, |(start, _)| start);
                statement = Some((start, token.end));
            }
        }
    }
    statement
        .and_then(|(start, end)| text.get(start..end))
        .ok_or_else(|| Error::configuration("the query is empty"))
}

/// What stands in the query's strings and quoted names, without the quotes.
pub fn strings(text: &str, lexicon: Lexicon) -> Vec<&str> {
    let quoted = tokens(text, lexicon).into_iter();
    let quoted = quoted.filter(|token| token.kind == Kind::Quoted);
    quoted
        .map(|token| text[token.start..token.end].trim_matches(['\'', '$']))
        .collect()
}

/// The query with another string in the place of those strings that are `chosen` by what stands in
/// their quotes, names in quotes included; `None` if there are none.
pub fn with_other_strings(
    text: &str,
    lexicon: Lexicon,
    other: &str,
    chosen: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for token in tokens(text, lexicon) {
        let written = &text[token.start..token.end];
        if token.kind == Kind::Quoted && chosen(written.trim_matches(['\'', '$'])) {
            result.push_str(&text[copied..token.start]);
            result.push_str(other);
            copied = token.end;
        }
    }
    (copied > 0).then(|| result + &text[copied..])
}

/// The statements of a text, without what only separates them.
///
/// # Examples
///
/// ```
/// # use industrydb_core::tokens::{statements, Lexicon};
/// # let lexicon = Lexicon {
/// #     quotes: &[(b'\'', b'\''), (b'"', b'"')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     escape_and_dollar_strings: false,
/// #     sigils: b"",
/// # };
/// assert_eq!(statements("SET a = ';'; ; SELECT 1 -- b;\n", lexicon), ["SET a = ';'", " SELECT 1 -- b;\n"]);
/// ```
pub fn statements(text: &str, lexicon: Lexicon) -> Vec<&str> {
    let ends = tokens(text, lexicon)
        .into_iter()
        .filter(|token| token.kind == Kind::Semicolon)
        .map(|token| (token.start, token.end))
        .chain([(text.len(), text.len())]);
    let mut start = 0;
    let mut found = Vec::new();
    for (end, next) in ends {
        found.push(&text[start..end]);
        start = next;
    }
    found.retain(|statement| !is_blank(statement, lexicon));
    found
}

/// Whether there is nothing in a text but white space, comments and semicolons.
pub fn is_blank(text: &str, lexicon: Lexicon) -> bool {
    let is_blank = |token: &Token| matches!(token.kind, Kind::Blank | Kind::Semicolon);
    tokens(text, lexicon).iter().all(is_blank)
}

/// The first word of a query, behind comments and opening brackets.
pub fn first_word(text: &str, lexicon: Lexicon) -> Option<&str> {
    let tokens = tokens(text, lexicon);
    let written =
        |token: &Token| token.kind != Kind::Blank && text.get(token.start..token.end) != Some("(");
    let first = tokens.into_iter().find(written)?;
    (first.kind == Kind::Word).then(|| &text[first.start..first.end])
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// A keyword, a name or a number.
    Word,
    Quoted,
    /// White space or a comment.
    Blank,
    Semicolon,
    Other,
}

#[derive(Clone, Copy)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
}

/// Divides a text as the database does; the tokens stand side by side, at borders of characters.
pub(crate) fn tokens(text: &str, lexicon: Lexicon) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::new();
    let mut escapes = false; // in the string before, so in one that continues it
    let mut start = 0;
    while let Some(&byte) = bytes.get(start) {
        let rest = &bytes[start..];
        let quote = lexicon.quotes.iter().find(|(open, _)| *open == byte);
        let (length, kind) = match byte {
            b';' => (1, Kind::Semicolon),
            b if b.is_ascii_whitespace() => (1, Kind::Blank),
            b'-' if rest.starts_with(b"--") => (line_comment(rest, lexicon.line_ends), Kind::Blank),
            b'/' if rest.starts_with(b"/*") => {
                (block_comment(rest, lexicon.nested_comments), Kind::Blank)
            }
            b'$' if lexicon.escape_and_dollar_strings => match dollar_quoted(rest) {
                1 => (1, Kind::Other),
                length => (length, Kind::Quoted),
            },
            b if is_word(b, lexicon) && b != b'$' => {
                let length = rest.iter().position(|byte| !is_word(*byte, lexicon));
                (length.unwrap_or(rest.len()), Kind::Word)
            }
            _ => match quote {
                // A doubled quote, and a string that goes on in the next line, read as two strings
                // side by side, of which the second one has the escapes of the first.
                Some((b'\'', close)) => {
                    let opened_by_e = tokens.last().is_some_and(|token| {
                        token.kind == Kind::Word
                            && text[token.start..start].eq_ignore_ascii_case("e")
                    });
                    escapes = lexicon.escape_and_dollar_strings && (escapes || opened_by_e);
                    (quoted(rest, *close, escapes), Kind::Quoted)
                }
                Some((_, close)) => (quoted(rest, *close, false), Kind::Quoted),
                None => (1, Kind::Other),
            },
        };
        escapes &= byte == b'\'' || kind == Kind::Blank;
        // A quote that is never closed may end with half of a backslash's pair.
        let end = (start + length).min(bytes.len());
        tokens.push(Token { start, end, kind });
        start = end;
    }
    tokens
}

/// Whether names, keywords and numbers are made of this byte; every byte of a character beyond
/// ASCII is.
fn is_word(byte: u8, lexicon: Lexicon) -> bool {
    let is_named = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..);
    is_named || lexicon.sigils.contains(&byte)
}

fn line_comment(rest: &[u8], ends: &[u8]) -> usize {
    rest.iter()
        .position(|byte| ends.contains(byte))
        .unwrap_or(rest.len())
}

fn block_comment(rest: &[u8], nested: bool) -> usize {
    let (mut depth, mut at) = (1_usize, 2);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] if nested => (depth, at) = (depth + 1, at + 2),
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

/// The length of a quoted text, whose first byte opened it.
fn quoted(rest: &[u8], close: u8, backslash_escapes: bool) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' if backslash_escapes => at += 2,
            byte if byte == close => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
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

    const POSTGRES: Lexicon = Lexicon {
        quotes: &[(b'\'', b'\''), (b'"', b'"')],
        line_ends: b"\n\r",
        nested_comments: true,
        escape_and_dollar_strings: true,
        sigils: b"",
    };
    const SQLITE: Lexicon = Lexicon {
        quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`'), (b'[', b']')],
        line_ends: b"\n",
        nested_comments: false,
        escape_and_dollar_strings: false,
        sigils: b"",
    };

    #[test]
    fn what_ends_a_statement_is_cut_off() {
        for (text, statement) in [
            ("SELECT 1", "SELECT 1"),
            ("  SELECT 1 ;; \n", "SELECT 1"),
            ("SELECT 1; -- done; really\n/* ; */", "SELECT 1"),
            ("SELECT 1 -- one", "SELECT 1"),
            (";; /* x */ SELECT 1", "SELECT 1"),
            ("SELECT ';', \"a;b\";", "SELECT ';', \"a;b\""),
            ("SELECT 'it''s;' ;", "SELECT 'it''s;'"),
            (r"SELECT 'a\' ;", r"SELECT 'a\'"),
            ("SELECT 'ä;ö' AS ü;", "SELECT 'ä;ö' AS ü"),
        ] {
            for lexicon in [POSTGRES, SQLITE] {
                assert_eq!(single_statement(text, lexicon).expect(text), statement);
            }
        }
    }

    #[test]
    fn databases_differ_in_what_a_token_is() {
        for (lexicon, text, statement) in [
            (POSTGRES, r"SELECT E'\';' ;", r"SELECT E'\';'"),
            (POSTGRES, r"SELECT E'a''\';' ;", r"SELECT E'a''\';'"),
            (POSTGRES, "SELECT E'a'\n'\\';' ;", "SELECT E'a'\n'\\';'"),
            (POSTGRES, r"SELECT E'a', '\' ;", r"SELECT E'a', '\'"),
            (
                POSTGRES,
                "SELECT $$;$$, $x$;$$;$x$ ;",
                "SELECT $$;$$, $x$;$$;$x$",
            ),
            (POSTGRES, "SELECT $1, $2 ;", "SELECT $1, $2"),
            (
                POSTGRES,
                "SELECT /* ; /* ; */ ; */ 1;",
                "SELECT /* ; /* ; */ ; */ 1",
            ),
            (POSTGRES, "SELECT 1 -- a\r+ 1", "SELECT 1 -- a\r+ 1"),
            (SQLITE, "SELECT 1 -- a\r+ 1", "SELECT 1"),
            (
                SQLITE,
                "SELECT /* ; /* ; */ 1 /* ; */;",
                "SELECT /* ; /* ; */ 1",
            ),
            (SQLITE, "SELECT `a;b`, [c;'d];", "SELECT `a;b`, [c;'d]"),
        ] {
            assert_eq!(single_statement(text, lexicon).expect(text), statement);
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
            "SELECT 1 \0 + 1",
        ] {
            single_statement(text, POSTGRES).expect_err(text);
            single_statement(text, SQLITE).expect_err(text);
        }
    }

    #[test]
    fn unfinished_quotes_reach_the_database_as_they_are() {
        for text in ["SELECT 'a;", "SELECT \"a;", "SELECT $$a;", "SELECT E'\\"] {
            assert_eq!(single_statement(text, POSTGRES).expect("left to it"), text);
        }
    }
}
