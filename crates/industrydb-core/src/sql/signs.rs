//! The words, names and signs of a query, without white space and comments.

use crate::sql::tokens::{Kind, Lexicon, tokens};

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
    let mut found = Vec::new();
    // The quotation mark and the end of a name that goes on if the mark follows, which is then one
    // of its characters.
    let mut open = None;
    for token in tokens(text, lexicon) {
        let written = &text[token.start..token.end];
        let mark = written.chars().next();
        let continues = open == Some((mark, token.start));
        open = None;
        match token.kind {
            Kind::Blank => {}
            Kind::Quoted if mark.is_some_and(|mark| matches!(mark, '"' | '`' | '[')) => {
                open = Some((mark, token.end));
                let inner = written.get(1..written.len().saturating_sub(1));
                let inner = inner.unwrap_or_default();
                match found.last_mut() {
                    Some(Sign::Name(name)) if continues => {
                        name.extend(mark);
                        name.push_str(inner);
                    }
                    _ => found.push(Sign::Name(inner.to_owned())),
                }
            }
            Kind::Word => found.push(Sign::Word(written)),
            Kind::Quoted | Kind::Semicolon | Kind::Other => found.push(Sign::Other(written)),
        }
    }
    found
}
