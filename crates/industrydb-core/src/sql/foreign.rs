//! What a statement has that another database writes so, and what to write in its place.

use crate::sql::mistakes::{name_at, names};
use crate::sql::shape::{begins_with, has_word};
use crate::sql::signs::written;
use crate::sql::tokens::{Kind, Lexicon, Token, first_word, statements, tokens};

/// How a database writes what others write differently, in words for hints.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// Its marks of parameters.
    pub marks: &'static str,
    /// Beginnings of its marks of parameters.
    pub mark_begins: &'static [&'static str],
    /// By what it quotes names, as a hint.
    pub quoting: &'static str,
    /// Quotes around names that it does not have.
    pub foreign_quotes: &'static [char],
    /// Word by which others limit the number of rows, and what to write in its place.
    pub foreign_limit: Option<(&'static str, &'static str)>,
    /// Queries for what others list by statements of their own.
    pub catalog: Option<Catalog>,
}

/// Queries for the names in a database. `TABLE` in one stands for the name of the table.
#[derive(Debug, Clone, Copy)]
pub struct Catalog {
    /// Query for the databases.
    pub databases: &'static str,
    /// Query for the tables.
    pub tables: &'static str,
    /// Query for the columns of a table.
    pub columns: &'static str,
}

/// Returns what is likely wrong with a statement that the database cannot parse: a way to write
/// that another database has, several statements, or a mere name. `place` is the byte that the
/// database could not go on at, if it is known.
///
/// # Examples
///
/// ```
/// use industrydb_core::foreign::{Ways, syntax_hint};
/// use industrydb_core::tokens::Lexicon;
///
/// # let lexicon = Lexicon {
/// #     quotes: &[(b'\'', b'\'')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     escape_and_dollar_strings: false,
/// #     sigils: b"",
/// #     hash_comments: false,
/// #     backslash_in: b"",
/// # };
/// let ways = Ways {
///     marks: "$1, $2, …",
///     mark_begins: &["$"],
///     quoting: "names are quoted by double quotes here",
///     foreign_quotes: &['`'],
///     foreign_limit: Some(("TOP", "LIMIT 5 at the end")),
///     catalog: None,
/// };
/// let hint = |sql| syntax_hint(sql, None, lexicon, &ways);
/// assert_eq!(
///     hint("SELECT * FROM t WHERE id = %s").as_deref(),
///     Some("parameters are written $1, $2, … here, in place of %s")
/// );
/// assert_eq!(hint("SELECT `id` FROM t").as_deref(), Some("names are quoted by double quotes here"));
/// assert_eq!(hint("SELECT TOP 5 * FROM t").as_deref(), Some("write LIMIT 5 at the end, in place of TOP"));
/// ```
pub fn syntax_hint(
    sql: &str,
    place: Option<usize>,
    lexicon: Lexicon,
    ways: &Ways,
) -> Option<String> {
    if let Some(mark) = foreign_mark(sql, place, lexicon, ways) {
        return Some(mark_hint(&mark, ways));
    }
    if statements(sql, lexicon).len() > 1 && !has_body(sql, lexicon) {
        return Some("there are several statements: pass one".to_owned());
    }
    if has_foreign_quote(sql, place, lexicon, ways) {
        return Some(ways.quoting.to_owned());
    }
    if let Some(hint) = listing_hint(sql, lexicon, ways) {
        return Some(hint);
    }
    if let Some((word, instead)) = ways
        .foreign_limit
        .filter(|(word, _)| limits(sql, word, lexicon))
    {
        return Some(format!("write {instead}, in place of {word}"));
    }
    let is_name = |token: &Token| token.kind == Kind::Word || written(sql, token) == ".";
    if !sql.trim().is_empty() && tokens(sql.trim(), lexicon).iter().all(is_name) {
        return Some("this is a name, and no statement: SELECT * FROM it reads a table".to_owned());
    }
    None
}

/// Returns what to write in place of another database's mark of a parameter.
pub fn mark_hint(mark: &str, ways: &Ways) -> String {
    format!(
        "parameters are written {} here, in place of {mark}",
        ways.marks
    )
}

/// Returns the query for what a statement of another database asks for: its databases, tables or
/// columns, as `SHOW TABLES` and `DESCRIBE orders` do. `None` for other statements.
pub fn listing_hint(sql: &str, lexicon: Lexicon, ways: &Ways) -> Option<String> {
    let catalog = ways.catalog?;
    let is = |word: &str, others: &[&str]| others.iter().any(|o| o.eq_ignore_ascii_case(word));
    let first = first_word(sql, lexicon)?;
    let mut names = names(sql, lexicon);
    names.retain(|name| !is(&name.text, &["FULL", "EXTENDED"]));
    let what = if is(first, &["DESCRIBE", "DESC"]) {
        "COLUMNS"
    } else {
        names.get(1).filter(|_| is(first, &["SHOW"]))?.text.as_str()
    };
    if is(what, &["TABLES", "VIEWS"]) {
        return Some(format!("{} lists the tables", catalog.tables));
    }
    if is(what, &["DATABASES", "SCHEMAS"]) {
        return Some(format!("{} lists the databases", catalog.databases));
    }
    let table = names.get(1..)?.last()?;
    is(what, &["COLUMNS", "FIELDS", "CREATE"]).then(|| {
        let query = catalog.columns.replace("TABLE", &as_text(&table.text));
        format!("{query} lists the columns")
    })
}

/// Returns how a text is written, if the unknown column at `place` is a name in double quotes, and
/// so may be meant as a text.
///
/// # Examples
///
/// ```
/// use industrydb_core::foreign::text_hint;
///
/// # let lexicon = industrydb_core::tokens::Lexicon {
/// #     quotes: &[(b'\'', b'\''), (b'"', b'"')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     escape_and_dollar_strings: false,
/// #     sigils: b"",
/// #     hash_comments: false,
/// #     backslash_in: b"",
/// # };
/// let hint = text_hint("SELECT * FROM t WHERE name = \"Ada\"", 29, lexicon);
/// assert!(hint.is_some_and(|hint| hint.starts_with("a text is written 'Ada', in single quotes")));
/// assert_eq!(text_hint("SELECT nme FROM t", 7, lexicon), None);
/// ```
pub fn text_hint(sql: &str, place: usize, lexicon: Lexicon) -> Option<String> {
    let is_quoted = sql.get(place..)?.starts_with('"');
    match name_at(sql, place, lexicon).as_slice() {
        [name] if is_quoted => Some(format!(
            "a text is written {}, in single quotes; double quotes are for names",
            as_text(&name.text)
        )),
        _ => None,
    }
}

/// Returns how a text is written in a statement.
fn as_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns whether a name stands in quotes that the database does not have: at the place that it
/// could not go on at, or anywhere if the sign means nothing to it.
fn has_foreign_quote(sql: &str, place: Option<usize>, lexicon: Lexicon, ways: &Ways) -> bool {
    let is_foreign = |sign: char| ways.foreign_quotes.contains(&sign);
    let at_place = place.and_then(|place| sql.get(place..)?.chars().next());
    let is_stray = |token: &Token| token.kind == Kind::Other && written(sql, token) == "`";
    at_place.is_some_and(is_foreign) || is_foreign('`') && tokens(sql, lexicon).iter().any(is_stray)
}

/// Returns whether a word stands in front of a number of rows.
fn limits(sql: &str, word: &str, lexicon: Lexicon) -> bool {
    let mut tokens = tokens(sql, lexicon);
    tokens.retain(|token| token.kind != Kind::Blank);
    tokens.windows(2).any(|pair| {
        let (this, next) = (written(sql, &pair[0]), written(sql, &pair[1]));
        let is_number =
            |sign: char| sign.is_ascii_digit() || matches!(sign, '(' | '?' | '$' | '@' | ':');
        pair[0].kind == Kind::Word && this.eq_ignore_ascii_case(word) && next.starts_with(is_number)
    })
}

/// Returns whether a statement has statements inside, such as one that creates a trigger.
fn has_body(sql: &str, lexicon: Lexicon) -> bool {
    begins_with(sql, lexicon, &["CREATE", "ALTER"]) && has_word(sql, lexicon, &["BEGIN"])
}

/// Returns the first mark of a parameter that is not the database's own: `%s`, `%(name)s`, `?`,
/// `:name`, `@name` or `$1`. If a place is known, the mark is there or right before it: elsewhere,
/// the sign may be an operator, or part of a slice.
fn foreign_mark(sql: &str, place: Option<usize>, lexicon: Lexicon, ways: &Ways) -> Option<String> {
    let tokens = tokens(sql, lexicon);
    let texts: Vec<&str> = tokens.iter().map(|token| written(sql, token)).collect();
    let is_word = |index: usize| {
        let token: Option<&Token> = tokens.get(index);
        token.is_some_and(|token| token.kind == Kind::Word)
    };
    let at = |index: usize| texts.get(index).copied().unwrap_or_default();
    for (index, sign) in texts.iter().enumerate() {
        let (previous, next) = (at(index.wrapping_sub(1)), at(index + 1));
        let length = match *sign {
            "?" => 1,
            "%" if next == "s" => 2,
            "%" if next == "(" && at(index + 3) == ")" && at(index + 4) == "s" => 5,
            // Two colons are a cast, and two signs a variable of the server.
            ":" | "@" | "$" if is_word(index + 1) && previous != *sign => 2,
            // In some databases the sign belongs to the name.
            word if word.len() > 1 && word.starts_with('@') && !word.starts_with("@@") => 1,
            _ => continue,
        };
        let last = tokens.get(index + length - 1).unwrap_or(&tokens[index]);
        let is_near = |place: usize| {
            let behind = sql.get(last.end..place).unwrap_or_default();
            tokens[index].start <= place && behind.trim().is_empty()
        };
        if place.is_none_or(is_near) && !ways.mark_begins.iter().any(|own| sign.starts_with(own)) {
            return Some(texts.iter().skip(index).take(length).copied().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::LEXICON;

    const WAYS: Ways = Ways {
        marks: "$1",
        mark_begins: &["$"],
        quoting: "quoting",
        foreign_quotes: &['`', '['],
        foreign_limit: Some(("TOP", "LIMIT 5")),
        catalog: Some(Catalog {
            databases: "D",
            tables: "T",
            columns: "C TABLE",
        }),
    };

    #[test]
    fn marks_of_other_databases_are_noticed() {
        for (sql, found) in [
            ("a = %s", Some("%s")),
            ("a = %(id)s", Some("%(id)s")),
            ("a = ?", Some("?")),
            ("a = :id", Some(":id")),
            ("a = @id", Some("@id")),
            ("a::int = $1 AND b = '%s ? :x'", None),
            ("a = 5 % 3", None),
            ("@@version", None),
        ] {
            let mark = foreign_mark(sql, None, LEXICON, &WAYS);
            assert_eq!(mark.as_deref(), found, "{sql}");
        }
        // A ! is the place that the database could not go on at.
        for (sql, found) in [
            ("a = ? !AND b = 1", Some("?")),
            ("a IN (?!, 2)", Some("?")),
            ("a = !:id", Some(":id")),
            ("a = !%(id)s AND", Some("%(id)s")),
            ("a = ?!", Some("?")),
            ("j ? 'a' AND a = ? !AND", Some("?")),
            ("j ? 'a' !FORM t", None),
            ("a[b:c] d !e", None),
            ("@id,!,", None),
        ] {
            let mark = foreign_mark(&sql.replace('!', ""), sql.find('!'), LEXICON, &WAYS);
            assert_eq!(mark.as_deref(), found, "{sql}");
        }
    }

    #[test]
    fn ways_of_other_databases_are_noticed() {
        let name = Some("quoting");
        for (sql, place, hint) in [
            ("SELECT `id` FROM t", Some(12), name),
            ("SELECT '`' FROM", None, None),
            ("SELECT [id] FROM t", Some(7), name),
            ("SELECT a[1],, b FROM t", Some(12), None),
            ("SHOW TABLES", None, Some("T lists the tables")),
            (
                "show full tables like 'x'",
                None,
                Some("T lists the tables"),
            ),
            ("SHOW DATABASES", None, Some("D lists the databases")),
            (
                "DESCRIBE shop.orders",
                None,
                Some("C 'orders' lists the columns"),
            ),
            ("desc \"it's\"", None, Some("C 'it''s' lists the columns")),
            (
                "SHOW COLUMNS FROM tables",
                None,
                Some("C 'tables' lists the columns"),
            ),
            (
                "SHOW CREATE TABLE orders",
                None,
                Some("C 'orders' lists the columns"),
            ),
            ("SELECT describe,, x FROM tables", None, None),
            (
                "DESCRIBE",
                None,
                Some("this is a name, and no statement: SELECT * FROM it reads a table"),
            ),
            (
                "SELECT top 5 * FROM t",
                None,
                Some("write LIMIT 5, in place of TOP"),
            ),
            (
                "SELECT TOP(5) * FROM t",
                None,
                Some("write LIMIT 5, in place of TOP"),
            ),
            ("SELECT top, FROM t", None, None),
            (
                "SELECT 1; SELEC 2",
                Some(10),
                Some("there are several statements: pass one"),
            ),
            (
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELEC 2; END",
                Some(51),
                None,
            ),
        ] {
            assert_eq!(
                syntax_hint(sql, place, LEXICON, &WAYS).as_deref(),
                hint,
                "{sql}"
            );
        }
    }
}
