//! Finds where a query asks for the current time, so that all sessions of a read can get one
//! answer.

use std::ops::Range;

use crate::sql::tokens::{Kind, Lexicon, Token, tokens};

/// Function, keyword or string by which a database's SQL asks for the current time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Name of the function, the keyword or the string, in lower case.
    pub name: &'static str,
    /// Form of the name in a query.
    pub form: Form,
    /// Type or format of the answer, as the connector names it.
    pub type_name: &'static str,
}

impl Clock {
    /// Creates a clock from its name, its form in a query, and the type of its answer.
    pub const fn new(name: &'static str, form: Form, type_name: &'static str) -> Self {
        Self {
            name,
            form,
            type_name,
        }
    }
}

/// Form of the name of a [`Clock`] in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A function without arguments: `now()`.
    Call,
    /// A keyword: `CURRENT_DATE`.
    Word,
    /// A keyword, with or without a number of digits: `CURRENT_TIME(3)`.
    Digits,
    /// A string among the arguments of one of these functions: `datetime('now')`.
    Argument(&'static [&'static str]),
}

/// Place in a query that asks for the current time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Clock that is used in this place.
    pub clock: Clock,
    /// Byte range in the query, including a schema in front of the name.
    pub place: Range<usize>,
    /// Number of digits of the seconds, if the query gives one.
    pub digits: Option<String>,
    /// Whether the name is qualified by the schema of the database's own functions.
    pub is_qualified: bool,
    /// Whether the place is in the list of a SELECT, where it may give a column its name.
    pub is_selected: bool,
}

/// Returns the places in a query that ask for the current time. `schema` is the schema of the
/// database's own functions.
///
/// # Examples
///
/// ```
/// use industrydb_core::clock::{Clock, Form, asked, answered};
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
///
/// let now = Clock { name: "now", form: Form::Call, type_name: "timestamptz" };
/// let query = "SELECT 'now()' FROM t WHERE NOW ( ) > a -- now()";
/// let places = asked(query, lexicon, "pg_catalog", &[now]);
/// assert_eq!(answered(query, &places, |_| Some("x".to_owned())), "SELECT 'now()' FROM t WHERE x > a -- now()");
/// ```
pub fn asked(text: &str, lexicon: Lexicon, schema: &str, clocks: &[Clock]) -> Vec<Asked> {
    let tokens: Vec<Token> = tokens(text, lexicon)
        .into_iter()
        .filter(|token| token.kind != Kind::Blank)
        .collect();
    let written = |at: usize| {
        tokens
            .get(at)
            .map_or("", |token| &text[token.start..token.end])
    };
    let mut found = Vec::new();
    // For each open bracket, whether it stands in the list of a SELECT, and the word in front of
    // it.
    let mut lists = vec![(false, "")];
    for (at, token) in tokens.iter().enumerate() {
        let word = written(at);
        let (is_list, function) = lists.last().copied().unwrap_or_default();
        match word {
            "(" => lists.push((is_list, at.checked_sub(1).map_or("", written))),
            ")" if lists.len() > 1 => {
                lists.pop();
            }
            _ if token.kind == Kind::Word => {
                let starts = word.eq_ignore_ascii_case("SELECT");
                let ends = ENDS_OF_LISTS
                    .iter()
                    .any(|end| word.eq_ignore_ascii_case(end));
                if let Some((list, _)) = lists.last_mut().filter(|_| starts || ends) {
                    *list = starts;
                }
            }
            _ => {}
        }
        let is_named = |clock: &&Clock| match token.kind {
            Kind::Word => {
                !matches!(clock.form, Form::Argument(_)) && word.eq_ignore_ascii_case(clock.name)
            }
            Kind::Quoted => match clock.form {
                // A quoted keyword is a name, and quoted names are case-sensitive.
                Form::Call => word == format!("\"{}\"", clock.name),
                Form::Argument(functions) => {
                    let is_one = |name: &&str| function.eq_ignore_ascii_case(name);
                    word.eq_ignore_ascii_case(&format!("'{}'", clock.name))
                        && functions.iter().any(is_one)
                }
                Form::Word | Form::Digits => false,
            },
            _ => false,
        };
        let brackets = (written(at + 1), written(at + 2), written(at + 3));
        // A name may be that of a function and of a keyword.
        let found_here = clocks.iter().filter(is_named).find_map(|clock| {
            let (length, digits) = match (clock.form, brackets) {
                (Form::Call, ("(", ")", _)) => (3, None),
                (Form::Digits, ("(", digits, ")")) => (4, Some(digits.to_owned())),
                (Form::Argument(_), _) => (1, None),
                (Form::Word | Form::Digits, (next, ..)) if next != "." => (1, None),
                _ => return None,
            };
            Some((clock, length, digits))
        });
        let Some((clock, length, digits)) = found_here else {
            continue;
        };
        let before = |count: usize| at.checked_sub(count).map_or("", written);
        let is_qualified = before(1) == "." && before(2).eq_ignore_ascii_case(schema);
        let is_part = before(1) == "." && !(is_qualified && clock.form == Form::Call);
        let is_alias = before(1).eq_ignore_ascii_case("AS");
        let Some(last) = tokens.get(at + length - 1) else {
            continue;
        };
        if is_part || is_alias {
            continue;
        }
        let first = if is_qualified { at - 2 } else { at };
        found.push(Asked {
            clock: *clock,
            place: tokens[first].start..last.end,
            digits,
            is_qualified,
            is_selected: lists.last().is_some_and(|(list, _)| *list),
        });
    }
    found
}

/// Keywords that end the list of a SELECT.
const ENDS_OF_LISTS: [&str; 12] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "WINDOW",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "EXCEPT",
    "INTERSECT",
];

/// Returns the query with an answer in each place that asks; places without an answer are left as
/// they are.
pub fn answered(
    text: &str,
    places: &[Asked],
    mut answer: impl FnMut(&Asked) -> Option<String>,
) -> String {
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for asked in places {
        if let Some(answer) = answer(asked) {
            result.push_str(&text[copied..asked.place.start]);
            result.push_str(&answer);
            copied = asked.place.end;
        }
    }
    result + &text[copied..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::LEXICON;

    const CLOCKS: [Clock; 5] = [
        Clock {
            name: "current_date",
            form: Form::Call,
            type_name: "e",
        },
        Clock {
            name: "now",
            form: Form::Argument(&["datetime"]),
            type_name: "d",
        },
        Clock {
            name: "now",
            form: Form::Call,
            type_name: "a",
        },
        Clock {
            name: "current_date",
            form: Form::Word,
            type_name: "b",
        },
        Clock {
            name: "current_time",
            form: Form::Digits,
            type_name: "c",
        },
    ];

    #[test]
    fn places_are_found_where_the_time_is_asked_for() {
        for (query, expected) in [
            ("SELECT now()", "SELECT <a>"),
            ("SELECT NOW ( /* x */ ) + 1", "SELECT <a> + 1"),
            ("SELECT pg_catalog . now(), \"now\"()", "SELECT <a>, <a>"),
            (
                "SELECT other.now(), now(1), now, t.now",
                "SELECT other.now(), now(1), now, t.now",
            ),
            (
                "SELECT \"NOW\"(), 'now()', $$now()$$",
                "SELECT \"NOW\"(), 'now()', $$now()$$",
            ),
            (
                "SELECT Current_Date, current_date(), t.current_date",
                "SELECT <b>, <e>, t.current_date",
            ),
            ("SELECT 1 AS current_date", "SELECT 1 AS current_date"),
            ("SELECT \"current_date\"", "SELECT \"current_date\""),
            ("SELECT current_time, current_time(3)", "SELECT <c>, <c3>"),
            (
                "SELECT a FROM t WHERE d = current_date",
                "SELECT a FROM t WHERE d = [b]",
            ),
            (
                "SELECT f((now())) FROM t WHERE (now() > a)",
                "SELECT f((<a>)) FROM t WHERE ([a] > a)",
            ),
            (
                "SELECT extract(year FROM now()), now() FROM t WHERE a IN (SELECT now())",
                "SELECT extract(year FROM [a]), <a> FROM t WHERE a IN (SELECT <a>)",
            ),
            ("SELECT now(", "SELECT now("),
            (
                "SELECT a FROM t WHERE DateTime('Now', '-1 day') > a AND a <> 'now' AND f('now')",
                "SELECT a FROM t WHERE DateTime([d], '-1 day') > a AND a <> 'now' AND f('now')",
            ),
        ] {
            let places = asked(query, LEXICON, "pg_catalog", &CLOCKS);
            let found = answered(query, &places, |asked| {
                let digits = asked.digits.clone().unwrap_or_default();
                let shown = format!("{}{digits}", asked.clock.type_name);
                Some(if asked.is_selected {
                    format!("<{shown}>")
                } else {
                    format!("[{shown}]")
                })
            });
            assert_eq!(found, expected);
        }
    }
}
