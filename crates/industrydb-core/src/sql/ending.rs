//! Tells what may follow a query.

use crate::sql::shape::{begins_with, is_plain};
use crate::sql::tokens::{Kind, Lexicon, Token, tokens};

/// Returns whether a query selects from one table, and ends with the table's name or alias, so that
/// a `WHERE` can follow. Queries with brackets are left out: these may hold anything.
///
/// # Examples
///
/// ```
/// # use industrydb_core::ending::takes_where;
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
/// assert!(takes_where("SELECT a, b + 1 AS c FROM s.t AS u -- all", lexicon));
/// assert!(!takes_where("SELECT a FROM t WHERE b", lexicon));
/// assert!(!takes_where("SELECT a FROM t, u", lexicon));
/// assert!(!takes_where("SELECT max(a) FROM t", lexicon));
/// assert!(!takes_where("SELECT a FROM t WHERE t.from OR b", lexicon));
/// ```
pub fn takes_where(text: &str, lexicon: Lexicon) -> bool {
    let tokens = tokens(text, lexicon).into_iter();
    let tokens: Vec<Token> = tokens.filter(|token| token.kind != Kind::Blank).collect();
    let is = |token: &Token, word: &str| text[token.start..token.end].eq_ignore_ascii_case(word);
    let may_hold_more = |token: &Token| {
        // What is longer opens or closes a comment whose content is SQL to some servers.
        let is_long = token.end - token.start > 1;
        token.kind == Kind::Other && (is_long || ["(", "[", "{"].iter().any(|it| is(token, it)))
    };
    // A name behind a point may be a keyword.
    let has_keyword_as_name = tokens
        .windows(2)
        .any(|pair| is(&pair[0], ".") && is(&pair[1], "FROM"));
    let from = tokens.iter().rposition(|token| is(token, "FROM"));
    let Some(from) = from.filter(|_| !has_keyword_as_name && !tokens.iter().any(may_hold_more))
    else {
        return false;
    };
    let letter = |token: &Token| match token.kind {
        Kind::Word if is(token, "AS") => 'a',
        Kind::Word | Kind::Quoted => 'n',
        _ if is(token, ".") => '.',
        _ => '?',
    };
    let table: String = tokens[from + 1..].iter().map(letter).collect();
    begins_with(text, lexicon, &["SELECT"])
        && is_plain(text, lexicon)
        && ["n", "nn", "nan"].contains(&table.strip_prefix("n.").unwrap_or(&table))
}
