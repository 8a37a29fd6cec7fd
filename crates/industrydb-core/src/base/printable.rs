//! Texts of others in messages, so that they change nothing but the place where they are printed.

use std::borrow::Cow;
use std::fmt::Write;

/// A text without control characters, which would be commands to a terminal or a log: they are
/// written as `\x1b`, and those that turn the direction of writing as `\u202e`. Lines and tabs
/// stay.
///
/// # Examples
///
/// ```
/// use industrydb_core::printable::printable;
///
/// assert_eq!(printable("no such column: x\nHINT: y"), "no such column: x\nHINT: y");
/// assert_eq!(printable("\u{1b}[2Jall is well\r"), r"\x1b[2Jall is well\x0d");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_command) {
        return Cow::Borrowed(text);
    }
    let mut printed = String::with_capacity(text.len());
    // Line ends of Windows are no commands.
    for character in text.replace("\r\n", "\n").chars() {
        if is_command(character) {
            let code = u32::from(character);
            let prefix = if code <= 0xff { "\\x" } else { "\\u" };
            let _ = write!(printed, "{prefix}{code:02x}"); // a String takes everything
        } else {
            printed.push(character);
        }
    }
    Cow::Owned(printed)
}

/// Whether a character does something to what is printed around it.
fn is_command(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control() && character != '\n' && character != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_are_written_otherwise() {
        for (text, expected) in [
            ("grüße\tund\r\nmehr ☃", "grüße\tund\nmehr ☃"),
            ("\u{9b}31m", r"\x9b31m"),
            ("\0\u{7f}", r"\x00\x7f"),
            ("a\u{202e}b", r"a\u202eb"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
