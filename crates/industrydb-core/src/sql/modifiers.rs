//! The words between `SELECT` and its list.

use std::borrow::Cow;

use crate::sql::tokens::{Kind, Lexicon, tokens};

/// Returns a query without the words `dropped` between any `SELECT` and its list, where the words
/// `kept` may also stand. The brackets of comments whose content is SQL do not end such words.
///
/// # Examples
///
/// ```
/// # use industrydb_core::modifiers::without_modifiers;
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
/// let query = "SELECT DISTINCT fast a, fast FROM t";
/// let without = without_modifiers(query, lexicon, &["DISTINCT"], &["FAST"]);
/// assert_eq!(without, "SELECT DISTINCT  a, fast FROM t");
/// ```
pub fn without_modifiers<'a>(
    text: &'a str,
    lexicon: Lexicon,
    kept: &[&str],
    dropped: &[&str],
) -> Cow<'a, str> {
    let mut result = String::new();
    let mut copied = 0;
    let mut is_behind_select = false;
    for token in tokens(text, lexicon) {
        let written = &text[token.start..token.end];
        let is = |word: &&str| token.kind == Kind::Word && written.eq_ignore_ascii_case(word);
        if is_behind_select && dropped.iter().any(is) {
            result.push_str(&text[copied..token.start]);
            copied = token.end;
            continue;
        }
        is_behind_select = match token.kind {
            Kind::Blank => is_behind_select,
            // Behind a point, it is the name of a column.
            Kind::Word if is(&"SELECT") => !text[..token.start].ends_with('.'),
            Kind::Word => is_behind_select && kept.iter().any(is),
            Kind::Other => is_behind_select && written.len() > 1,
            Kind::Quoted | Kind::Semicolon => false,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    result.push_str(&text[copied..]);
    Cow::Owned(result)
}
