//! Texts that are read as the session's current time.

use industrydb_core::tokens::Quoted;

/// Words that the input functions of dates and times read relative to the session's current time.
pub(crate) const NOW: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// Returns whether a text may be read as the current time, alone or within a list, a range or a
/// row: `[today,)`. The words may touch digits: `today10:00`.
pub(crate) fn says_now(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    words.any(|word| NOW.contains(&word))
}

/// Returns whether a string of a query may be a text such as `now`. Escapes may stand for any text.
pub(crate) fn may_say_now(string: &Quoted) -> bool {
    string.mark != b'"' && (string.has_escapes || says_now(&string.text))
}
