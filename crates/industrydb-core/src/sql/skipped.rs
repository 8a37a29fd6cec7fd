//! Leaves out comments that are SQL to some servers only.

use std::borrow::Cow;

use crate::sql::tokens::{Kind, Lexicon, Token, tokens};

/// Blanks the comments that a server takes for SQL if it has a version, where `skipped` returns the
/// length of one, at which a text begins: the server does not run it. Line ends stay.
///
/// # Examples
///
/// ```
/// # use industrydb_core::{skipped::without_skipped, tokens::Lexicon};
/// # let lexicon = Lexicon {
/// #     quotes: &[(b'\'', b'\''), (b'"', b'"')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     hash_comments: true,
/// #     backslash_in: b"",
/// #     escape_and_dollar_strings: false,
/// #     sigils: b"",
/// # };
/// let skipped = |text: &str| text.find("*/").map(|end| end + 2);
/// let query = "SELECT '/*!' /*!999999 don't */, 1";
/// assert_eq!(without_skipped(query, lexicon, skipped), "SELECT '/*!'                   , 1");
/// ```
pub fn without_skipped(
    text: &str,
    lexicon: Lexicon,
    skipped: impl Fn(&str) -> Option<usize>,
) -> Cow<'_, str> {
    let mut blanked = Cow::Borrowed(text);
    let mut known = 0;
    loop {
        let mut tokens = tokens(&blanked, lexicon).into_iter();
        let is_opened = |token: &Token| {
            let written = &blanked[token.start..token.end];
            token.start >= known && token.kind == Kind::Other && written.starts_with("/*")
        };
        let Some(token) = tokens.find(is_opened) else {
            break;
        };
        known = token.end;
        let Some(length) = skipped(&blanked[token.start..]) else {
            continue;
        };
        let end = token.start + length;
        let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
        let blanks: String = blanked[token.start..end].bytes().map(blank).collect();
        blanked.to_mut().replace_range(token.start..end, &blanks);
    }
    blanked
}
