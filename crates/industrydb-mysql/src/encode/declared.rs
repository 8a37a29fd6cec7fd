//! Types of a table's columns, as the server prints them.

/// Type of a column, as `SHOW COLUMNS` prints it: `decimal(15,2) unsigned`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Name in lower case: `decimal`.
    pub(crate) name: String,
    /// What stands in parentheses: the numbers, or the values of an enum or a set without quotes.
    arguments: Vec<String>,
    pub(crate) is_unsigned: bool,
}

impl Declared {
    pub(crate) fn new(printed: &str) -> Self {
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let end = printed.find(|character| !is_name(character));
        let (name, rest) = printed.split_at(end.unwrap_or(printed.len()));
        let (arguments, rest) = match rest.strip_prefix('(') {
            Some(inside) => arguments(inside),
            None => (Vec::new(), rest),
        };
        let is_unsigned = rest
            .split_ascii_whitespace()
            .any(|word| word.eq_ignore_ascii_case("unsigned"));
        Self {
            name: name.to_ascii_lowercase(),
            arguments,
            is_unsigned,
        }
    }

    /// Returns a number in the parentheses, or `default` if it is not there.
    pub(crate) fn number(&self, index: usize, default: u8) -> u8 {
        let text = self.arguments.get(index);
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Returns the number of digits behind the point, if there is one: 2 of `double(10,2)`.
    pub(crate) fn behind_point(&self) -> Option<u8> {
        self.arguments.get(1)?.parse().ok()
    }

    /// Returns the largest number of characters of a `char` or `varchar`.
    pub(crate) fn longest(&self) -> Option<usize> {
        let is_short = matches!(self.name.as_str(), "char" | "varchar");
        self.arguments.first().filter(|_| is_short)?.parse().ok()
    }

    /// Returns the values of an enum or a set.
    pub(crate) fn values(&self) -> &[String] {
        &self.arguments
    }
}

/// Splits what follows an opening parenthesis into the arguments and the text behind the closing
/// one. A quote within a quoted argument is doubled, and some characters have a backslash.
fn arguments(inside: &str) -> (Vec<String>, &str) {
    let mut arguments = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = inside.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '\'' if is_quoted && characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                characters.next();
                push(&mut arguments, '\'');
            }
            '\'' => is_quoted = !is_quoted,
            '\\' if is_quoted => {
                let escaped = characters
                    .next()
                    .map_or('\\', |(_, escaped)| match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        '0' => '\0',
                        'Z' => '\x1a',
                        other => other,
                    });
                push(&mut arguments, escaped);
            }
            ',' if !is_quoted => arguments.push(String::new()),
            ')' if !is_quoted => return (arguments, &inside[index + 1..]),
            other => push(&mut arguments, other),
        }
    }
    (arguments, "")
}

fn push(arguments: &mut [String], character: char) {
    if let Some(last) = arguments.last_mut() {
        last.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_printed() {
        let decimal = Declared::new("decimal(15,2) unsigned zerofill");
        assert_eq!(
            (decimal.name.as_str(), decimal.is_unsigned),
            ("decimal", true)
        );
        assert_eq!((decimal.number(0, 10), decimal.number(1, 0)), (15, 2));
        assert_eq!(Declared::new("datetime").number(0, 0), 0);
        assert_eq!(
            Declared::new("varchar(5) /*M!100301 COMPRESSED*/").name,
            "varchar"
        );
        let letters = Declared::new("enum('it''s','a,b',')','unsigned')");
        assert_eq!(letters.values(), ["it's", "a,b", ")", "unsigned"]);
        assert!(!letters.is_unsigned);
        assert_eq!(Declared::new(r"enum('\\','a\nb')").values(), ["\\", "a\nb"]);
    }
}
