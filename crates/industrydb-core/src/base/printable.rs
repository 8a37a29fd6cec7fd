//! Escapes foreign text in messages, so that it cannot control a terminal or a log.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes control characters, which a terminal or a log may execute as commands: they are written
/// as `\x1b`, and those that change the direction of writing as `\u202e`. Line breaks and tabs
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
    // The carriage return of a Windows line end is no command.
    for character in text.replace("\r\n", "\n").chars() {
        if is_command(character) {
            let code = u32::from(character);
            let prefix = if code <= 0xff { "\\x" } else { "\\u" };
            let _ = write!(printed, "{prefix}{code:02x}"); // writing to a String cannot fail
        } else {
            printed.push(character);
        }
    }
    Cow::Owned(printed)
}

/// Returns whether a character affects how the text around it is printed.
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
