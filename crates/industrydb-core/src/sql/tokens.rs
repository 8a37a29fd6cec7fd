//! Divides SQL into tokens, so that a query can be placed inside another statement.

use crate::base::error::{Error, Result};

/// Lexical rules of a database's SQL, as far as the ends of tokens depend on them.
#[derive(Debug, Clone, Copy)]
pub struct Lexicon {
    /// Opening and closing characters of strings and quoted identifiers.
    pub quotes: &'static [(u8, u8)],
    /// Characters that end a comment which begins with `--`.
    pub line_ends: &'static [u8],
    /// Whether `/* /* */ */` is one comment.
    pub nested_comments: bool,
    /// Whether `#` begins a comment, `--` begins one only in front of white space, and the text
    /// between `/*!` and `*/` is SQL.
    pub hash_comments: bool,
    /// Quotes in which a backslash escapes the next character.
    pub backslash_in: &'static [u8],
    /// Whether there are strings of the forms `E'…\'…'` and `$tag$…$tag$`.
    pub escape_and_dollar_strings: bool,
    /// Characters of names besides letters, digits, `_` and `$`.
    pub sigils: &'static [u8],
}

/// Returns the only statement of a text, without the white space, comments and semicolons around
/// it.
///
/// Strings, quoted identifiers and comments are recognized as the database reads them, so that a
/// semicolon inside them ends no statement.
///
/// # Errors
///
/// [`Error::Configuration`] if there is no statement, or more than one, or a NUL character.
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
///     hash_comments: false,
///     backslash_in: b"",
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

/// A string or a quoted name of a query.
#[derive(Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Content without the single quotes or `$` around each of its parts; the quotes of names are
    /// kept.
    pub text: String,
    /// Quotation mark, or `$`, that it begins with.
    pub mark: u8,
    /// Whether parts may stand for other characters, as in `E'n\157w'` or `U&'n!006fw' UESCAPE
    /// '!'`.
    pub has_escapes: bool,
    start: usize,
    end: usize,
}

/// Returns the query's strings and quoted names. A string that is continued after white space is
/// one string.
pub fn strings(text: &str, lexicon: Lexicon) -> Vec<Quoted> {
    let mut found: Vec<Quoted> = Vec::new();
    let (mut is_continued, mut may_escape) = (false, false);
    for token in tokens(text, lexicon) {
        if token.kind != Kind::Quoted {
            is_continued &= token.kind == Kind::Blank;
            continue;
        }
        let written = &text[token.start..token.end];
        let content = written.trim_matches(['\'', '$']);
        let is_string = written.starts_with('\'');
        if let Some(string) = found.last_mut().filter(|_| is_continued && is_string) {
            string.text.push_str(content);
            string.has_escapes |= may_escape && content.contains('\\');
            string.end = token.end;
        } else if let Some(name) = found.last_mut().filter(|name| {
            // The tokens meet where a quote is doubled within a name.
            !is_string && name.end == token.start && name.text.ends_with(&written[..1])
        }) {
            name.text.push_str(written);
            name.end = token.end;
        } else {
            let before = &text.as_bytes()[..token.start];
            may_escape =
                is_string && lexicon.escape_and_dollar_strings && has_escape_prefix(before);
            found.push(Quoted {
                text: content.to_owned(),
                mark: text.as_bytes()[token.start],
                // UESCAPE may name any other character than a backslash.
                has_escapes: may_escape && (content.contains('\\') || before.ends_with(b"&")),
                start: token.start,
                end: token.end,
            });
        }
        is_continued = is_string;
    }
    found
}

/// Returns whether the text before a string ends with `E` or `U&`.
fn has_escape_prefix(before: &[u8]) -> bool {
    matches!(before, [.., b'e' | b'E'] | [.., b'u' | b'U', b'&'])
}

/// Replaces the strings and quoted names that are `chosen` by `other`; returns `None` if there are
/// none.
pub fn with_other_strings(
    text: &str,
    lexicon: Lexicon,
    other: &str,
    chosen: impl Fn(&Quoted) -> bool,
) -> Option<String> {
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for string in strings(text, lexicon)
        .iter()
        .filter(|string| chosen(string))
    {
        result.push_str(&text[copied..string.start]);
        result.push_str(other);
        copied = string.end;
    }
    (copied > 0).then(|| result + &text[copied..])
}

/// Splits a text into its statements, without the semicolons between them. Statements of only white
/// space and comments are left out.
///
/// # Examples
///
/// ```
/// # use industrydb_core::tokens::{statements, Lexicon};
/// # let lexicon = Lexicon {
/// #     quotes: &[(b'\'', b'\''), (b'"', b'"')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     hash_comments: false,
/// #     backslash_in: b"",
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

/// Returns whether a text has only white space, comments and semicolons.
pub fn is_blank(text: &str, lexicon: Lexicon) -> bool {
    let is_blank = |token: &Token| matches!(token.kind, Kind::Blank | Kind::Semicolon);
    tokens(text, lexicon).iter().all(is_blank)
}

/// Returns the first word of a query, after comments and opening brackets; `None` if the first
/// token there is no word.
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

/// Divides a text into tokens as the database does. The tokens cover the whole text, and their ends
/// are character boundaries.
pub(crate) fn tokens(text: &str, lexicon: Lexicon) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::new();
    let mut escapes = false; // whether the last string, and one that continues it, has escapes
    let mut is_open = false; // whether a comment whose content is SQL has begun
    let mut start = 0;
    while let Some(&byte) = bytes.get(start) {
        let rest = &bytes[start..];
        let quote = lexicon.quotes.iter().find(|(open, _)| *open == byte);
        let (length, kind) = match byte {
            b';' => (1, Kind::Semicolon),
            b if b.is_ascii_whitespace() => (1, Kind::Blank),
            b'-' if begins_comment(rest, lexicon) => {
                (line_comment(rest, lexicon.line_ends), Kind::Blank)
            }
            b'#' if lexicon.hash_comments => (line_comment(rest, lexicon.line_ends), Kind::Blank),
            // The brackets of a comment whose content is SQL; the content follows as tokens.
            b'/' if lexicon.hash_comments
                && let Some(length) = opened_comment(rest) =>
            {
                is_open = true;
                (length, Kind::Other)
            }
            b'*' if is_open && rest.starts_with(b"*/") => {
                is_open = false;
                (2, Kind::Other)
            }
            b'/' if rest.starts_with(b"/*") => {
                (block_comment(rest, lexicon.nested_comments), Kind::Blank)
            }
            b'$' if lexicon.escape_and_dollar_strings => match dollar_quoted(rest) {
                1 => (1, Kind::Other),
                length => (length, Kind::Quoted),
            },
            b if is_word(b, lexicon) && (b != b'$' || lexicon.hash_comments) => {
                let length = rest.iter().position(|byte| !is_word(*byte, lexicon));
                let word = &rest[..length.unwrap_or(rest.len())];
                let length = match point(text, &tokens, start) {
                    Some(Point::OfName) => None,
                    point => number(rest, point.is_some(), lexicon.hash_comments),
                };
                (length.unwrap_or(word.len()), Kind::Word)
            }
            _ => match quote {
                // A doubled quote, or a string that is continued on the next line, reads as two
                // adjacent strings. The second one has the escapes of the first.
                Some((b'\'', close)) => {
                    let opened_by_e = tokens.last().is_some_and(|token| {
                        token.kind == Kind::Word
                            && text[token.start..start].eq_ignore_ascii_case("e")
                    });
                    escapes = lexicon.escape_and_dollar_strings && (escapes || opened_by_e);
                    let escapes = escapes || lexicon.backslash_in.contains(&b'\'');
                    (quoted(rest, *close, escapes), Kind::Quoted)
                }
                Some((open, close)) => {
                    let escapes = lexicon.backslash_in.contains(open);
                    (quoted(rest, *close, escapes), Kind::Quoted)
                }
                None => (1, Kind::Other),
            },
        };
        escapes &= byte == b'\'' || kind == Kind::Blank;
        // A string that is never closed may end with a backslash, whose pair would reach beyond the
        // text.
        let end = (start + length).min(bytes.len());
        tokens.push(Token { start, end, kind });
        start = end;
    }
    tokens
}

/// Returns whether a byte can be part of a name, a keyword or a number. All bytes of characters
/// beyond ASCII can.
fn is_word(byte: u8, lexicon: Lexicon) -> bool {
    let is_named = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..);
    is_named || lexicon.sigils.contains(&byte)
}

/// A point right in front of a word.
#[derive(Clone, Copy, PartialEq)]
enum Point {
    /// Behind a name, which it touches: the word is a name too.
    OfName,
    OfNumber,
}

/// Returns what kind of point stands between the tokens and a word that begins at `start`.
fn point(text: &str, tokens: &[Token], start: usize) -> Option<Point> {
    let [before @ .., point] = tokens else {
        return None;
    };
    if point.end != start || &text[point.start..point.end] != "." {
        return None;
    }
    let is_name = before.last().is_some_and(|token| {
        let word = &text.as_bytes()[token.start..token.end];
        let is_number = || number(word, false, false) == Some(word.len());
        token.end == point.start
            && (token.kind == Kind::Quoted || token.kind == Kind::Word && !is_number())
    });
    Some(if is_name {
        Point::OfName
    } else {
        Point::OfNumber
    })
}

/// Returns the length of the number, or of a number's part behind its point, with which a text begins,
/// and behind which a keyword may follow without a blank: `5LIMIT 3`, or `1e-5LIMIT 3` where `5LIMIT`
/// may be a name. `None` if there is none, or one in hexadecimal digits.
fn number(text: &[u8], is_behind_point: bool, may_be_name: bool) -> Option<usize> {
    let digits = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let whole = digits(text);
    let (sign, exponent) = match &text[whole..] {
        [b'e' | b'E', b'+' | b'-', behind @ ..] => (1, digits(behind)),
        [b'e' | b'E', behind @ ..] => (0, digits(behind)),
        _ => (0, 0),
    };
    let is_hexadecimal = text.starts_with(b"0x") || text.starts_with(b"0X");
    if is_hexadecimal || whole == 0 && !is_behind_point {
        return None;
    }
    match (whole, exponent) {
        (0, 0) => None,
        (_, 0) => (is_behind_point || !may_be_name).then_some(whole),
        _ => Some(whole + 1 + sign + exponent),
    }
}

/// Returns whether the text begins with the two dashes of a comment.
fn begins_comment(rest: &[u8], lexicon: Lexicon) -> bool {
    match rest {
        [b'-', b'-', behind, ..] if lexicon.hash_comments => {
            behind.is_ascii_whitespace() || behind.is_ascii_control()
        }
        [b'-', b'-', ..] => true,
        _ => false,
    }
}

fn line_comment(rest: &[u8], ends: &[u8]) -> usize {
    rest.iter()
        .position(|byte| ends.contains(byte))
        .unwrap_or(rest.len())
}

/// Returns the length of the opening bracket of a comment whose content is SQL, with the five or six
/// digits of the least version of a server that reads it; `None` if there is none.
fn opened_comment(rest: &[u8]) -> Option<usize> {
    let behind = rest
        .strip_prefix(b"/*!")
        .or_else(|| rest.strip_prefix(b"/*M!"))?;
    let digits = behind.iter().take(6).take_while(|b| b.is_ascii_digit());
    let version = Some(digits.count()).filter(|count| *count >= 5);
    Some(rest.len() - behind.len() + version.unwrap_or_default())
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

/// Returns the length of a quoted text, whose first byte is the opening quote.
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

/// Returns the length of `$tag$…$tag$`; 1 if the `$` opens no string (but is a parameter, say).
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
        hash_comments: false,
        backslash_in: b"",
        escape_and_dollar_strings: true,
        sigils: b"",
    };
    const SQLITE: Lexicon = Lexicon {
        quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`'), (b'[', b']')],
        line_ends: b"\n",
        nested_comments: false,
        hash_comments: false,
        backslash_in: b"",
        escape_and_dollar_strings: false,
        sigils: b"",
    };

    const MYSQL: Lexicon = Lexicon {
        quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`')],
        line_ends: b"\n",
        nested_comments: false,
        hash_comments: true,
        backslash_in: b"'\"",
        escape_and_dollar_strings: false,
        sigils: b"@",
    };

    fn words(text: &str, lexicon: Lexicon) -> Vec<&str> {
        let tokens = tokens(text, lexicon).into_iter();
        let words = tokens.filter(|token| token.kind == Kind::Word);
        words.map(|token| &text[token.start..token.end]).collect()
    }

    #[test]
    fn a_comment_ends_only_where_one_has_begun() {
        for (text, expected) in [
            ("SELECT */* it's */ FROM t", &["SELECT", "FROM", "t"][..]),
            ("SELECT a*/* 'b */ c", &["SELECT", "a", "c"]),
            ("SELECT /*!50000 a */*/* b */ c", &["SELECT", "a", "c"]),
            (
                "SELECT /*!50000 a /* ' */ b */ c",
                &["SELECT", "a", "b", "c"],
            ),
        ] {
            assert_eq!(words(text, MYSQL), expected, "{text}");
        }
    }

    #[test]
    fn a_number_ends_where_the_database_ends_it() {
        for (text, both, mysql) in [
            ("5.5LIMIT 3", &["5", "5", "LIMIT", "3"][..], None),
            (".5LIMIT 3", &["5", "LIMIT", "3"], None),
            ("1e5LIMIT", &["1e5", "LIMIT"], None),
            ("2.1E5OR", &["2", "1E5", "OR"], None),
            ("1e-3LIMIT", &["1e-3", "LIMIT"], None),
            ("1.5e+1GROUP", &["1", "5e+1", "GROUP"], None),
            ("1.e0LIMIT", &["1", "e0", "LIMIT"], None),
            ("AND .9LIMIT", &["AND", "9", "LIMIT"], None),
            ("test.1e5v", &["test", "1e5v"], None),
            ("test.1e5-3", &["test", "1e5", "3"], None),
            ("a.e1", &["a", "e1"], None),
            ("0x1F", &["0x1F"], None),
            ("5LIMIT", &["5", "LIMIT"], Some(&["5LIMIT"][..])),
            ("t.5a", &["t", "5a"], None),
            ("2024t.5a", &["2024", "t", "5a"], Some(&["2024t", "5a"])),
            ("2024_sales", &["2024", "_sales"], Some(&["2024_sales"])),
        ] {
            assert_eq!(words(text, MYSQL), mysql.unwrap_or(both), "{text}");
            if !text.contains('`') {
                assert_eq!(words(text, POSTGRES), both, "{text}");
            }
        }
    }

    #[test]
    fn strings_come_as_they_are_read() {
        let found = |text| -> Vec<(String, bool)> {
            let found = strings(text, POSTGRES).into_iter();
            found
                .map(|string| (string.text, string.has_escapes))
                .collect()
        };
        for (text, content, has_escapes) in [
            ("SELECT 'now'", "now", false),
            ("SELECT 'n'\n 'ow'", "now", false),
            ("SELECT $a$now$a$", "a$now$a", false),
            (r"SELECT 'n\157w'", r"n\157w", false),
            (r"SELECT e'n\157w'", r"n\157w", true),
            ("SELECT E'n'\n'\\157w'", r"n\157w", true),
            (r"SELECT U&'n\006fw'", r"n\006fw", true),
            (r"SELECT U&'!006eow' UESCAPE '!'", "!006eow", true),
            ("SELECT '\"now\"'", "\"now\"", false),
            ("SELECT E'now'", "now", false),
            ("SELECT \"a\"", "\"a\"", false),
        ] {
            assert_eq!(found(text)[0], (content.to_owned(), has_escapes), "{text}");
        }
        assert_eq!(found("SELECT 'a', 'b'").len(), 2);
        assert_eq!(
            found("SELECT \"a\"\"b\""),
            [("\"a\"\"b\"".to_owned(), false)]
        );
        let chosen = |string: &Quoted| string.text == "now";
        let other = with_other_strings("SELECT 'n'\n'ow', 'x'", POSTGRES, "'y'", chosen);
        assert_eq!(other.as_deref(), Some("SELECT 'y', 'x'"));
    }

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
