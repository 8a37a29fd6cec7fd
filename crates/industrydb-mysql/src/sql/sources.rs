//! Finds the places of a query where it may name a table or call a function.

use industrydb_core::signs::{Sign, signs};
use industrydb_core::tokens::Lexicon;

/// What may stand in front of a table's name.
const BEFORE_TABLES: [&str; 6] = [",", "(", "FROM", "JOIN", "STRAIGHT_JOIN", "TABLE"];

/// Words behind which tables may stand, until one of [`ENDS_TABLES`].
const BEGINS_TABLES: [&str; 2] = ["FROM", "TABLE"];

/// Words behind which no table may stand, until one of [`BEGINS_TABLES`].
const ENDS_TABLES: [&str; 6] = ["SELECT", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"];

/// Returns the names that a query may call as functions.
pub(crate) fn called(query: &str, lexicon: Lexicon) -> Vec<String> {
    let signs = signs(query, lexicon);
    let calls = signs.windows(2).filter(|pair| is(&pair[1], "("));
    calls.filter_map(|pair| name(&pair[0])).collect()
}

/// Returns the names that stand in front of such a name: databases, and MariaDB's packages.
pub(crate) fn owners(query: &str, lexicon: Lexicon) -> Vec<String> {
    let signs = signs(query, lexicon);
    let calls = signs.windows(4);
    let calls = calls.filter(|four| is(&four[1], ".") && is(&four[3], "("));
    calls.filter_map(|four| name(&four[0])).collect()
}

/// Returns whether a query may read a table, and does not only use its name for something else,
/// such as a column. Where that is not sure, it may.
pub(crate) fn may_read(query: &str, lexicon: Lexicon, schema: &str, table: &str) -> bool {
    let is_same = |name: &Option<String>, other: &str| {
        let name = name.as_ref().map(|name| name.to_lowercase());
        name == Some(other.to_lowercase())
    };
    let mut place = Place::new();
    let signs: Vec<Sign> = signs(query, lexicon)
        .into_iter()
        .filter(|sign| !is_of_comment(sign))
        .collect();
    let mut at = 0;
    while let Some(sign) = signs.get(at) {
        let has_dot = |at: usize| signs.get(at).is_some_and(|sign| is(sign, "."));
        if has_dot(at) {
            at += 1; // `.t` is a table of the session's database
            continue;
        }
        match name(sign) {
            Some(_) if has_dot(at + 1) && !is_keyword(sign) => {
                let (first, second) = (name(sign), signs.get(at + 2).and_then(name));
                if is_same(&first, schema) && is_same(&second, table) && place.is_of_table() {
                    return true;
                }
                at += 1;
                while has_dot(at) {
                    at += 2;
                }
                place.pass_name();
            }
            first => {
                let may_be = is_same(&first, table) && !place.is_defined(table);
                if may_be && place.is_of_table() {
                    return true;
                }
                place.pass(sign);
                at += 1;
            }
        }
    }
    false
}

/// Returns a name, or a word that may be one.
fn name(sign: &Sign) -> Option<String> {
    match sign {
        Sign::Word(word) => Some((*word).to_owned()),
        Sign::Name(name) => Some(name.clone()),
        Sign::Other(_) => None,
    }
}

fn is(sign: &Sign, text: &str) -> bool {
    match sign {
        Sign::Word(word) | Sign::Other(word) => word.eq_ignore_ascii_case(text),
        Sign::Name(_) => false,
    }
}

/// Returns whether this is a keyword that begins, joins or ends a list of tables.
fn is_keyword(sign: &Sign) -> bool {
    const JOINS: [&str; 2] = ["JOIN", "STRAIGHT_JOIN"];
    let mut keywords = BEGINS_TABLES.iter().chain(&ENDS_TABLES).chain(&JOINS);
    keywords.any(|word| is(sign, word))
}

/// Returns whether this is a bracket of a comment whose content is SQL.
fn is_of_comment(sign: &Sign) -> bool {
    matches!(sign, Sign::Other(text) if text.starts_with("/*") || *text == "*/")
}

/// Place in a query, behind some of its signs.
struct Place {
    /// Brackets that are open, from the outermost.
    brackets: Vec<Bracket>,
    /// Whether tables may stand here.
    has_tables: bool,
    /// Text of the last sign in upper case; empty behind a name in quotes, or several with dots.
    last: String,
    /// Whether the last sign is any name behind a brace, as in `{oj t}`.
    is_escape: bool,
    with: With,
    /// Names of the query's own `WITH` that are those of its expressions from here on. Servers
    /// differ in whether another spelling is the same name.
    defined: Vec<String>,
    /// Name of the expression whose definition is about to come or comes.
    defining: Option<String>,
}

/// An open bracket.
struct Bracket {
    /// Whether tables may stand behind it.
    has_tables: bool,
    /// Whether the definition of an expression is inside.
    is_definition: bool,
}

/// Where a query is with regard to its own `WITH`.
#[derive(Clone, Copy, PartialEq)]
enum With {
    /// At its beginning.
    Before,
    /// Between its expressions.
    Inside { is_recursive: bool },
    /// Behind them, or in a query without.
    Behind,
}

impl Place {
    fn new() -> Self {
        Self {
            brackets: Vec::new(),
            has_tables: false,
            last: String::new(),
            is_escape: false,
            with: With::Before,
            defined: Vec::new(),
            defining: None,
        }
    }

    /// Returns whether a name here may be a table's.
    fn is_of_table(&self) -> bool {
        self.has_tables && self.is_before_table()
    }

    /// Returns whether the last sign is one behind which a table may stand.
    fn is_before_table(&self) -> bool {
        self.is_escape || BEFORE_TABLES.contains(&self.last.as_str())
    }

    /// Returns whether a name without a database is that of an expression of the query's own
    /// `WITH`.
    fn is_defined(&self, table: &str) -> bool {
        self.defined.iter().any(|name| name == table)
    }

    /// Goes behind names that are joined by dots.
    fn pass_name(&mut self) {
        self.last = String::new();
        self.is_escape = false;
    }

    fn pass(&mut self, sign: &Sign) {
        let text = match sign {
            Sign::Word(text) | Sign::Other(text) => text.to_ascii_uppercase(),
            Sign::Name(_) => String::new(),
        };
        if self.brackets.is_empty() {
            self.pass_definition(sign, &text);
        }
        match text.as_str() {
            "(" => {
                let is_inside = matches!(self.with, With::Inside { .. });
                let is_definition = is_inside && self.brackets.is_empty() && self.last == "AS";
                self.brackets.push(Bracket {
                    has_tables: self.has_tables,
                    is_definition,
                });
                if is_definition && self.with == (With::Inside { is_recursive: true }) {
                    // Such an expression may read its own rows.
                    self.defined.extend(self.defining.take());
                }
                // Behind other words is an expression, or a list of columns or indexes.
                self.has_tables &= self.is_before_table();
            }
            ")" => {
                if let Some(bracket) = self.brackets.pop() {
                    self.has_tables = bracket.has_tables;
                    if bracket.is_definition {
                        self.defined.extend(self.defining.take());
                    }
                }
            }
            word if BEGINS_TABLES.contains(&word) => self.has_tables = true,
            // USE INDEX FOR ORDER BY (a), and then more tables.
            word if ENDS_TABLES.contains(&word) && self.last != "FOR" => self.has_tables = false,
            _ => {}
        }
        self.is_escape = self.last == "{";
        self.last = text;
    }

    /// Follows the names of the query's `WITH`, outside of brackets.
    fn pass_definition(&mut self, sign: &Sign, text: &str) {
        match self.with {
            With::Before if text == "WITH" => {
                self.with = With::Inside {
                    is_recursive: false,
                };
            }
            With::Before => self.with = With::Behind,
            With::Inside { .. } if text == "SELECT" => self.with = With::Behind,
            With::Inside { .. } if text == "RECURSIVE" && self.last == "WITH" => {
                self.with = With::Inside { is_recursive: true };
            }
            With::Inside { .. } => {
                // Behind CYCLE, such a name is that of a column, and no definition follows.
                let is_first = matches!(self.last.as_str(), "WITH" | "RECURSIVE" | ",");
                if let Some(name) = name(sign).filter(|_| is_first) {
                    self.defining = Some(name);
                }
            }
            With::Behind => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::SqlMode;

    fn reads(query: &str) -> bool {
        may_read(query, SqlMode::default().lexicon(), "shop", "orders")
    }

    #[test]
    fn a_table_is_found_wherever_it_stands() {
        for query in [
            "SELECT * FROM orders",
            "SELECT * FROM Shop . `ORDERS` AS o",
            "SELECT a FROM t, orders",
            "SELECT a FROM (t, (u JOIN orders ON 1))",
            "SELECT a FROM t STRAIGHT_JOIN orders",
            "SELECT a FROM t NATURAL LEFT JOIN /*! shop.orders */ WHERE 1",
            "SELECT a FROM { OJ orders LEFT JOIN t ON 1 }",
            "SELECT a FROM t USE INDEX FOR ORDER BY (i, j), orders",
            "SELECT a FROM t USE INDEX (i) USE INDEX FOR GROUP BY (j), orders ORDER BY a",
            "SELECT a FROM t JOIN u ON t.where = u.`select`, orders",
            "SELECT a FROM t JOIN u USING (b), orders",
            "SELECT a FROM t WHERE b IN (SELECT c FROM orders)",
            "SELECT (SELECT max(a) FROM /* x */ orders) AS m FROM t",
            "SELECT a FROM t UNION (SELECT b FROM u, orders)",
            "SELECT a FROM t WHERE EXISTS (TABLE orders)",
            "TABLE orders",
            "SELECT * FROM .orders",
            "SELECT `a` FROM t GROUP BY `a` WITH ROLLUP UNION SELECT b FROM u, orders",
            "WITH q AS (SELECT * FROM orders) SELECT * FROM q",
            "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders",
            "WITH orders (a) AS (SELECT a FROM orders) SELECT * FROM orders",
            "WITH orders AS (SELECT 1) SELECT * FROM shop.orders",
            "SELECT * FROM (WITH orders AS (SELECT 1) SELECT 2) AS q, orders",
            "SELECT a FROM /*!40000 orders */",
            "SELECT a FROM t /*!50000 , orders */",
            "SELECT a FROM t, /*!50000orders*/",
            "SELECT a FROM t, /*M!100100orders*/",
            "SELECT a FROM t, {d orders}",
            "SELECT a FROM t, {`x` (u JOIN shop.orders)}",
            "WITH RECURSIVE q (a, b) AS (SELECT 1, 2) CYCLE a, orders RESTRICT SELECT a FROM q, orders",
            "WITH Orders AS (SELECT 1) SELECT a FROM t, orders",
        ] {
            assert!(reads(query), "{query}");
        }
    }

    #[test]
    fn a_name_of_something_else_is_no_table() {
        for query in [
            "SELECT orders FROM t",
            "SELECT a, orders, f(orders), (orders) FROM t WHERE orders > 3 AND (orders < 5)",
            "SELECT t.orders FROM t JOIN u ON t.orders = u.orders ORDER BY orders, a",
            "SELECT a AS orders FROM t GROUP BY orders HAVING orders",
            "SELECT orders.a FROM t AS orders",
            "SELECT orders.a FROM shop.t orders, u",
            "SELECT a FROM (SELECT b FROM t) orders",
            "SELECT a FROM t JOIN u USING (a, orders)",
            "SELECT a FROM t FORCE INDEX (orders), u",
            "SELECT a FROM other.orders",
            "SELECT a FROM orders.t",
            "SELECT a FROM t PARTITION (orders)",
            "SELECT 'FROM orders' FROM t -- , orders",
            "WITH orders AS (SELECT 1 AS a), q AS (SELECT * FROM orders) SELECT * FROM q, orders",
            "WITH RECURSIVE orders AS (SELECT 1 UNION SELECT a + 1 FROM orders) SELECT * FROM orders",
            "select `shop`.`t`.`orders` AS `orders` from `shop`.`t` where `shop`.`t`.`orders` = 1",
        ] {
            assert!(!reads(query), "{query}");
        }
    }

    #[test]
    fn functions_are_called_by_brackets() {
        let found = called(
            "SELECT f(a), shop.`g` (b), h, 'i(' FROM t WHERE j # (\n (1)",
            SqlMode::default().lexicon(),
        );
        assert_eq!(found, ["f", "g", "j"]);
        let query = "SELECT shop.`pack`.f (a), t.b, g(t.c), pack . h(1) FROM t";
        let found = owners(query, SqlMode::default().lexicon());
        assert_eq!(found, ["pack", "pack"]);
    }
}
