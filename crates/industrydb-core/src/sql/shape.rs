//! Recognizes from a query's tokens what the query does.

use crate::sql::tokens::{Kind, Lexicon, Token, first_word, tokens};

/// Returns whether one of the words, in upper or lower case, stands in the query outside of quotes
/// and comments.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::has_word;
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
/// assert!(has_word("SELECT a FROM t limit 3", lexicon, &["LIMIT"]));
/// assert!(!has_word("SELECT \"limit\" FROM t -- LIMIT 3", lexicon, &["LIMIT"]));
/// ```
pub fn has_word(text: &str, lexicon: Lexicon, words: &[&str]) -> bool {
    tokens(text, lexicon).iter().any(|token| {
        let word = &text[token.start..token.end];
        token.kind == Kind::Word && words.iter().any(|other| word.eq_ignore_ascii_case(other))
    })
}

/// Returns whether one of the words, outside of quotes and comments, stands right behind a round
/// bracket: there begins a statement in a `WITH`, or the one behind it.
pub fn has_word_behind_bracket(text: &str, lexicon: Lexicon, words: &[&str]) -> bool {
    let mut tokens = tokens(text, lexicon);
    tokens.retain(|token| token.kind != Kind::Blank);
    tokens.windows(2).any(|pair| {
        let [before, word] = [0, 1].map(|index| &text[pair[index].start..pair[index].end]);
        let is_meant = words.iter().any(|other| word.eq_ignore_ascii_case(other));
        matches!(before, "(" | ")") && is_meant
    })
}

/// Returns whether the first word of a text, after comments and opening brackets, is one of some
/// keywords, in upper or lower case.
///
/// # Examples
///
/// ```
/// use industrydb_core::shape::begins_with;
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
/// assert!(begins_with("-- all\ncommit work", lexicon, &["COMMIT", "END"]));
/// assert!(!begins_with("SELECT 'COMMIT'", lexicon, &["COMMIT", "END"]));
/// assert!(!begins_with("", lexicon, &["COMMIT"]));
/// ```
pub fn begins_with(text: &str, lexicon: Lexicon, words: &[&str]) -> bool {
    first_word(text, lexicon)
        .is_some_and(|first| words.iter().any(|word| first.eq_ignore_ascii_case(word)))
}

/// Returns the words of a query outside of quotes and comments, as they are written.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::words;
/// # use industrydb_core::tokens::Lexicon;
/// # let lexicon = Lexicon {
/// #     quotes: &[(b'\'', b'\''), (b'"', b'"')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     hash_comments: false,
/// #     backslash_in: b"",
/// #     escape_and_dollar_strings: false,
/// #     sigils: b"@",
/// # };
/// assert_eq!(words("SELECT f(@a, 'b') -- c", lexicon), ["SELECT", "f", "@a"]);
/// ```
pub fn words(text: &str, lexicon: Lexicon) -> Vec<&str> {
    let tokens = tokens(text, lexicon).into_iter();
    let words = tokens.filter(|token| token.kind == Kind::Word);
    words.map(|token| &text[token.start..token.end]).collect()
}

/// Returns whether words that follow one another, in upper or lower case, stand in the query outside
/// of quotes and comments.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::has_phrase;
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
/// assert!(has_phrase("SELECT a FROM t for /* now */ update", lexicon, &["FOR", "UPDATE"]));
/// assert!(!has_phrase("SELECT update FROM t", lexicon, &["FOR", "UPDATE"]));
/// ```
pub fn has_phrase(text: &str, lexicon: Lexicon, words: &[&str]) -> bool {
    let tokens = tokens(text, lexicon).into_iter();
    let tokens: Vec<Token> = tokens.filter(|token| token.kind != Kind::Blank).collect();
    let is = |(token, word): (&Token, &&str)| {
        token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
    };
    let mut places = tokens.windows(words.len().max(1));
    places.any(|place| place.iter().zip(words).all(is))
}

/// Returns the words after the last closing parenthesis of a statement, as they are written.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::last_words;
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
/// let table = "CREATE TABLE t (a DEFAULT (1), b) /* ) */ WITHOUT ROWID, strict";
/// assert_eq!(last_words(table, lexicon), ["WITHOUT", "ROWID", "strict"]);
/// ```
pub fn last_words(text: &str, lexicon: Lexicon) -> Vec<&str> {
    let mut words = Vec::new();
    for token in tokens(text, lexicon) {
        match (token.kind, &text[token.start..token.end]) {
            (Kind::Other, ")") => words.clear(),
            (Kind::Word, word) => words.push(word),
            _ => {}
        }
    }
    words
}

/// Splits a query into the common table expressions in front of it and the rest.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::with_clause;
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
/// let query = "WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a, b";
/// let parts = ("WITH a AS (SELECT 1), b AS (SELECT 2) ", "SELECT * FROM a, b");
/// assert_eq!(with_clause(query, lexicon), parts);
/// assert_eq!(with_clause("SELECT 1", lexicon), ("", "SELECT 1"));
/// ```
pub fn with_clause(text: &str, lexicon: Lexicon) -> (&str, &str) {
    let mut depth = 0_usize;
    // Whether a closing bracket was the last token.
    let mut closed = false;
    let written = tokens(text, lexicon)
        .into_iter()
        .filter(|token| token.kind != Kind::Blank);
    for (number, token) in written.enumerate() {
        let word = &text[token.start..token.end];
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if number == 0 && !is("WITH") {
            break;
        }
        // After the brackets of an expression comes another expression or the query.
        if closed && depth == 0 && !is(",") && !is("AS") {
            return text.split_at(token.start);
        }
        match word {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        closed = word == ")";
    }
    ("", text)
}

/// Returns the words of a query outside of brackets, with their byte positions.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::top_level_words;
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
/// let words = top_level_words("SELECT (SELECT 1) AS a -- b", lexicon);
/// assert_eq!(words, [(0, "SELECT"), (18, "AS"), (21, "a")]);
/// ```
pub fn top_level_words(text: &str, lexicon: Lexicon) -> Vec<(usize, &str)> {
    let mut depth = 0_usize;
    let mut words = Vec::new();
    for token in tokens(text, lexicon) {
        match &text[token.start..token.end] {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            word if depth == 0 && token.kind == Kind::Word => words.push((token.start, word)),
            _ => {}
        }
    }
    words
}

/// Returns whether a query only picks rows and columns, as far as its words tell. On some of the
/// table's rows, such a query returns exactly those rows of its result that come from them.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::is_plain;
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
/// assert!(is_plain("SELECT a FROM t WHERE a IS NOT DISTINCT FROM 3", lexicon));
/// assert!(!is_plain("SELECT DISTINCT a FROM t", lexicon));
/// ```
pub fn is_plain(text: &str, lexicon: Lexicon) -> bool {
    const NOT_PLAIN: [&str; 18] = [
        "WITH",
        "DISTINCT",
        "GROUP",
        "HAVING",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "ORDER",
        "LIMIT",
        "OFFSET",
        "ONLY",
        "TABLESAMPLE",
        "FETCH",
        "JOIN",
        "OVER",
        "WINDOW",
        "VALUES",
        "TOP",
    ];
    !has_clause(text, lexicon, &NOT_PLAIN)
}

/// Returns whether one of the words occurs in the query as a clause. `DISTINCT` in
/// `a IS DISTINCT FROM b` and `WITH` in `timestamp WITH TIME ZONE` do not count.
fn has_clause(text: &str, lexicon: Lexicon, clauses: &[&str]) -> bool {
    let tokens = tokens(text, lexicon).into_iter();
    let tokens: Vec<Token> = tokens.filter(|token| token.kind != Kind::Blank).collect();
    let is = |at: Option<usize>, words: &[&str]| {
        let token = at.and_then(|at| tokens.get(at));
        token.is_some_and(|token| {
            let word = &text[token.start..token.end];
            token.kind == Kind::Word && words.iter().any(|other| word.eq_ignore_ascii_case(other))
        })
    };
    (0..tokens.len()).any(|at| {
        let (before, here, behind) = (at.checked_sub(1), Some(at), Some(at + 1));
        let compares = is(here, &["DISTINCT"]) && is(before, &["IS", "NOT"]);
        let has_zone = is(here, &["WITH"]) && is(behind, &["TIME"]);
        is(here, clauses) && !compares && !has_zone
    })
}

/// Returns whether the query has groups, windows or set operations. A row of its result may then
/// stand for several rows that count as equal, or depend on other rows, so a condition on the
/// result's rows cannot be applied to the rows that they are made of.
pub fn has_groups(text: &str, lexicon: Lexicon) -> bool {
    const GROUPS: [&str; 9] = [
        "DISTINCT",
        "GROUP",
        "HAVING",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "OVER",
        "WINDOW",
        "RECURSIVE",
    ];
    has_clause(text, lexicon, &GROUPS)
}

/// Returns whether one of the names, in upper or lower case, stands in the query: in quotes, or as
/// a word.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::mentions;
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
/// let names = ["Sales".to_owned()];
/// assert!(mentions("SELECT * FROM main.\"sales\"", lexicon, &names));
/// assert!(!mentions("SELECT sales_tax FROM t -- sales", lexicon, &names));
/// ```
pub fn mentions(text: &str, lexicon: Lexicon, names: &[String]) -> bool {
    tokens(text, lexicon).iter().any(|token| {
        let written = &text[token.start..token.end];
        let name = match token.kind {
            Kind::Word => written.to_owned(),
            Kind::Quoted => {
                let close = written.chars().next_back().unwrap_or_default();
                let inner = written.get(1..written.len() - 1).unwrap_or_default();
                inner.replace(&String::from_iter([close, close]), &close.to_string())
            }
            _ => return false,
        };
        let name = name.to_lowercase();
        names.iter().any(|other| other.to_lowercase() == name)
    })
}

/// Returns whether the query has a keyword of an outer join, which makes NULLs where a table has no
/// row.
pub fn has_outer_join(text: &str, lexicon: Lexicon) -> bool {
    has_word(text, lexicon, &["LEFT", "RIGHT", "FULL"])
}

/// Replaces `schema.table` by `table` in a query, so that a common table expression of that name
/// can take the table's place.
///
/// # Examples
///
/// ```
/// # use industrydb_core::shape::without_schema;
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
/// assert_eq!(
///     without_schema("SELECT * FROM Sales . \"order\" JOIN sales.item", lexicon, "sales", "order"),
///     "SELECT * FROM \"order\" JOIN sales.item"
/// );
/// ```
pub fn without_schema(text: &str, lexicon: Lexicon, schema: &str, table: &str) -> String {
    let tokens: Vec<Token> = tokens(text, lexicon)
        .into_iter()
        .filter(|token| token.kind != Kind::Blank)
        .collect();
    let is = |token: &Token, name: &str| {
        let written = &text[token.start..token.end];
        match token.kind {
            Kind::Word => written.eq_ignore_ascii_case(name),
            // The text within the quotes. A name with doubled quotes inside is not found.
            Kind::Quoted => written.get(1..written.len() - 1) == Some(name),
            _ => false,
        }
    };
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    let is_dot = |token: Option<&Token>| token.is_some_and(|dot| &text[dot.start..dot.end] == ".");
    for (at, three) in tokens.windows(3).enumerate() {
        let [first, dot, last] = three else { continue };
        // In `database.schema.table`, the name is left as it is.
        let is_name = is_dot(Some(dot)) && !is_dot(at.checked_sub(1).and_then(|at| tokens.get(at)));
        if is_name && is(first, schema) && is(last, table) && first.start >= copied {
            result.push_str(&text[copied..first.start]);
            copied = last.start;
        }
    }
    result + &text[copied..]
}
