//! The server's version, which decides what comments it runs.

use std::borrow::Cow;

use industrydb_core::skipped::without_skipped;
use industrydb_core::tokens::Lexicon;

/// Version of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// As comments have it: 80012 is 8.0.12, and 101114 is 10.11.14.
    number: u32,
    is_mariadb: bool,
}

impl Version {
    /// Parses the value of `version`, such as `10.11.14-MariaDB-log`.
    pub(crate) fn new(text: &str) -> Self {
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
        let parts = text[..end].split('.').map(|part| part.parse().unwrap_or(0));
        Self {
            number: parts.take(3).fold(0, |number: u32, part: u32| {
                number.saturating_mul(100).saturating_add(part)
            }),
            is_mariadb: text.to_ascii_lowercase().contains("mariadb"),
        }
    }

    /// Returns a statement as the server runs it: without the comments that are SQL to other versions
    /// only.
    pub(crate) fn run(self, statement: &str, lexicon: Lexicon) -> Cow<'_, str> {
        if !statement.contains("/*!") && !statement.contains("/*M!") {
            return Cow::Borrowed(statement);
        }
        without_skipped(statement, lexicon, |text| self.skipped(text))
    }

    /// Returns the length of the comment at the beginning of a text; `None` if the server runs it.
    ///
    /// A comment with another one inside ends behind both.
    fn skipped(self, text: &str) -> Option<usize> {
        let (is_for_mariadb, behind) = match text.strip_prefix("/*M!") {
            Some(behind) => (true, behind),
            None => (false, text.strip_prefix("/*!")?),
        };
        if is_for_mariadb && !self.is_mariadb {
            return Some(text.find("*/").map_or(text.len(), |end| end + 2));
        }
        let digits = behind.bytes().take(6).take_while(u8::is_ascii_digit);
        let mut count = digits.count();
        let is_ended = behind[count..].starts_with(|c: char| c.is_ascii_whitespace());
        if count == 6 && !self.is_mariadb && !is_ended {
            count = 5;
        }
        let number: u32 = behind[..count].parse().ok().filter(|_| count >= 5)?;
        // MariaDB leaves out what MySQL has had since both went their own ways.
        let is_of_mysql = (50_700..=99_999).contains(&number);
        let is_meant = !self.is_mariadb || is_for_mariadb || !is_of_mysql;
        if number <= self.number && is_meant {
            return None;
        }
        Some(text.len() - behind_comment(behind).len())
    }
}

/// Returns what stands behind the end of a comment, which may have another one inside.
fn behind_comment(mut text: &str) -> &str {
    let mut is_inside = false;
    while let Some(at) = text.find("*/") {
        let opened = text.find("/*").filter(|opened| *opened < at && !is_inside);
        let behind = opened.unwrap_or(at) + 2;
        text = &text[behind..];
        match opened {
            Some(_) => is_inside = true,
            None if is_inside => is_inside = false,
            None => return text,
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::SqlMode;

    /// As both servers have told; MySQL is 9.7.4, and MariaDB is 10.11.14.
    #[test]
    fn comments_of_other_versions_are_left_out() {
        let lexicon = SqlMode::default().lexicon();
        let servers = ["9.7.4-2", "10.11.14-MariaDB-0+deb12u2"].map(Version::new);
        assert_eq!(servers.map(|it| it.number), [90_704, 101_114]);
        for (comment, mysql, mariadb) in [
            ("/*! a */", true, true),
            ("/*!a*/", true, true),
            ("/*!100100 a */", false, true),
            ("/*!99999 a */", false, false),
            ("/*!999999 don't */", false, false),
            ("/*!50700 a */", true, false),
            ("/*!090700 a */", true, false),
            ("/*!50699 a*/", true, true),
            ("/*!000000 a*/", true, true),
            ("/*M!100000 a*/", false, true),
            ("/*M! a*/", false, true),
            ("/*M!50700 a*/", false, true),
            ("/*!99999 /* a */ don't */", false, false),
            ("/*!99999 /* a /* b */ don't */", false, false),
            ("/*!50000 /* don't */ a */", true, true),
            ("/*!99999 '*/", false, false),
        ] {
            for (server, runs) in servers.iter().zip([mysql, mariadb]) {
                let text = format!("SELECT 1{comment}\n'*/'");
                let expected = if runs {
                    text.clone()
                } else {
                    text.replace(comment, &" ".repeat(comment.len()))
                };
                assert_eq!(server.run(&text, lexicon), expected, "{server:?} {comment}");
            }
        }
        assert_eq!(
            servers[0].run("'/*!99999 a */'", lexicon),
            "'/*!99999 a */'"
        );
        assert_eq!(servers[0].run("a /*!99999 b", lexicon), "a           ");
    }
}
