//! The words, names and signs of a query, without white space and comments.

use crate::sql::tokens::{Kind, Lexicon, Token, tokens};

/// A word, a name or a sign of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign<'a> {
    /// A keyword, a name without quotes, or a number.
    Word(&'a str),
    /// A name that stood in quotes, which it does not have here.
    Name(String),
    /// A string, or any other sign.
    Other(&'a str),
}

/// Returns what a query is made of.
///
/// # Examples
///
/// ```
/// use industrydb_core::signs::{Sign, signs};
/// # use industrydb_core::tokens::Lexicon;
/// # let lexicon = Lexicon {
/// #     quotes: &[(b'\'', b'\''), (b'"', b'"')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     hash_comments: false,
/// #     backslash_in: b"",
/// #     escape_and_dollar_strings: false,
/// #     sigils: b"",
/// # };
/// let found = signs("SELECT \"a \"\"b\" , -- c\n 'd'", lexicon);
/// let name = Sign::Name("a \"b".to_owned());
/// assert_eq!(found, [Sign::Word("SELECT"), name, Sign::Other(","), Sign::Other("'d'")]);
/// ```
pub fn signs(text: &str, lexicon: Lexicon) -> Vec<Sign<'_>> {
    let found = joined(text, lexicon);
    let found = found.iter().filter(|token| token.kind != Kind::Blank);
    found
        .map(|token| match quoted_name(text, token) {
            Some(name) => Sign::Name(name),
            None if token.kind == Kind::Word => Sign::Word(written(text, token)),
            None => Sign::Other(written(text, token)),
        })
        .collect()
}

/// Returns the tokens of a statement, where a name with a doubled quote is one token.
pub(super) fn joined(sql: &str, lexicon: Lexicon) -> Vec<Token> {
    let mut joined: Vec<Token> = Vec::new();
    for token in tokens(sql, lexicon) {
        match joined.last_mut() {
            Some(last)
                if (last.kind, token.kind) == (Kind::Quoted, Kind::Quoted)
                    && last.end == token.start
                    && sql.as_bytes().get(last.start) == sql.as_bytes().get(token.start) =>
            {
                last.end = token.end;
            }
            _ => joined.push(token),
        }
    }
    joined
}

/// Returns the text of a token.
pub(super) fn written<'s>(sql: &'s str, token: &Token) -> &'s str {
    sql.get(token.start..token.end).unwrap_or_default()
}

/// Returns the name that a token in quotes is, with one quote for each two in it; `None` for other
/// tokens.
pub(super) fn quoted_name(sql: &str, token: &Token) -> Option<String> {
    let mut inner = written(sql, token).chars();
    let close = match inner.next()? {
        '[' => ']',
        quote @ ('"' | '`') => quote,
        _ => return None,
    };
    let inner = inner.as_str();
    let inner = inner.strip_suffix(close).unwrap_or(inner);
    let name = inner.replace(&format!("{close}{close}"), &close.to_string());
    (token.kind == Kind::Quoted).then_some(name)
}
