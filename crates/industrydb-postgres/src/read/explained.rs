//! The server's plan of a statement, and whether the statement can be divided. In doubt, it cannot.

use industrydb_core::tokens::strings;
use serde_json::Value as Json;

use crate::read::nodes::{
    CONDITIONS, OF_THE_SESSION, all_texts, called, casts_now, conditions, finds_an_end,
    has_clock_keyword, is_age_now, is_bare_text, is_operator, is_probed_below, is_scan, kind,
    looks_nowhere, probes_columns, shows_less, texts, visit,
};
use crate::sql::dialect::LEXICON;
use crate::sql::now::{may_say_now, says_now};
use crate::sql::statements;

/// Kinds of plan nodes that group rows.
const GROUPS: [&str; 5] = ["Aggregate", "Group", "Unique", "SetOp", "WindowAgg"];

/// The server's plan of a statement.
pub(crate) struct Explained(Json);

impl Explained {
    /// Reads the answer to `EXPLAIN (FORMAT JSON)`.
    pub(crate) fn new(rows: Vec<Vec<Option<String>>>) -> Option<Self> {
        let text = rows.into_iter().flatten().flatten().next()?;
        let mut json: Json = serde_json::from_str(&text).ok()?;
        json.pointer_mut("/0/Plan").map(Json::take).map(Self)
    }

    /// Returns the number of rows that the server expects.
    pub(crate) fn rows(&self) -> f64 {
        self.0["Plan Rows"].as_f64().unwrap_or(1.0).max(1.0)
    }

    /// Returns whether the statement of [`statements::keys_of_some_rows`] reads only some rows.
    pub(crate) fn is_of_some_rows(&self) -> bool {
        let mut looks_up = false;
        visit(&self.0, "", &mut |node, _| {
            looks_up |= node["TID Cond"].is_string();
        });
        looks_up
    }

    /// Returns whether the query has a LIMIT.
    pub(crate) fn has_limit(&self) -> bool {
        let mut found = false;
        visit(&self.0, "", &mut |node, parent| {
            found |= kind(node) == "Limit" && !finds_an_end(node, parent);
        });
        found
    }

    /// Returns whether a row of the query may stand for others that the query treats as equal:
    /// those of a group, a DISTINCT, a set operation or a window. A LIMIT counts too, since the
    /// server plans a DISTINCT of known values as a LIMIT.
    pub(crate) fn has_groups(&self) -> bool {
        let mut found = false;
        visit(&self.0, "", &mut |node, _| {
            found |= GROUPS.contains(&kind(node)) || kind(node) == "Limit";
        });
        found
    }

    /// Returns why evaluating the query of [`statements::probe`] several times may give rows that
    /// do not belong together, or `None` if it cannot. Volatile functions are checked separately,
    /// by the names of [`Explained::called`].
    ///
    /// The place of the probe's condition in the plan shows which rows the server would read for a
    /// partition. Ties of a window or a DISTINCT ON must be broken in one evaluation, so the
    /// condition must be applied before them.
    pub(crate) fn indivisible(&self) -> Option<&'static str> {
        if self.has_limit() {
            return Some("the query has a LIMIT");
        }
        let mut is_sampled = false;
        visit(&self.0, "", &mut |node, _| {
            is_sampled |= kind(node) == "Sample Scan" && node["Repeatable Seed"].is_null();
        });
        if is_sampled {
            return Some("the query takes another sample of a table each time");
        }
        let mut ties = None;
        visit(&self.0, "", &mut |node, _| match kind(node) {
            "WindowAgg" if !is_probed_below(node) => {
                ties = Some("the query has window functions over rows of several partitions");
            }
            "Unique" if !is_probed_below(node) => {
                ties = Some("the query has a DISTINCT over rows of several partitions");
            }
            _ => {}
        });
        ties
    }

    /// Returns whether the statement asks for the time. The plan does not show how strings and
    /// parameters are read; [`clock::reads_time`](crate::read::clock::reads_time) checks that.
    pub(crate) fn asks_for_time(&self) -> bool {
        let mut asks = false;
        visit(&self.0, "", &mut |node, _| {
            asks |= all_texts(node).any(|text| {
                if casts_now(text) {
                    return true;
                }
                // The text without its literals, whose quotes are doubled within.
                let text: String = text.split('\'').step_by(2).collect();
                has_clock_keyword(&text)
                    || called(&text).any(|name| OF_THE_SESSION[..3].contains(&name.as_str()))
                    || is_age_now(&text)
            });
        });
        asks
    }

    /// Returns whether the server may test a condition on columns for rows that the query's own
    /// conditions exclude, for which the expressions behind the columns may fail. The plan must be
    /// that of [`statements::probe`], which shows where the condition would stand.
    pub(crate) fn tries_too_early(&self) -> bool {
        let (mut is_computed, mut has_conditions) = (false, false);
        visit(&self.0, "", &mut |node, _| {
            let own = CONDITIONS.iter().filter_map(|name| node[*name].as_str());
            for condition in own {
                let probed = condition.contains(statements::PROBE);
                has_conditions |= !probed || condition.contains(" AND ");
                // A condition on a subquery's rows may be moved into the subquery, even if the
                // probe is not.
                is_computed |=
                    probed && (kind(node) == "Subquery Scan" || !probes_columns(condition));
            }
            has_conditions |= !is_scan(kind(node));
        });
        is_computed && has_conditions
    }

    /// Returns why a key that is not a table's column may have other values in each session, or
    /// `None` if it cannot.
    ///
    /// Groups may treat values as equal that an expression tells apart, sums and lists depend on
    /// the order of their rows, and each session has its own time. The plan does not show which
    /// parts of the query the key is made of, so all parts count.
    pub(crate) fn makes_other_keys(
        &self,
        query: &str,
        parameters: &[Option<String>],
    ) -> Option<&'static str> {
        let mut given = parameters.iter().flatten();
        let mut timed =
            strings(query, LEXICON).iter().any(may_say_now) || given.any(|text| says_now(text));
        let mut grouped = false;
        visit(&self.0, "", &mut |node, _| {
            grouped |= GROUPS.contains(&kind(node));
            timed |= texts(node).any(has_clock_keyword);
        });
        timed |= self
            .called()
            .iter()
            .any(|name| OF_THE_SESSION.contains(&name.as_str()));
        if grouped {
            Some("the key is an expression, and the query makes groups of rows")
        } else {
            timed.then_some("the key may be another one in each session")
        }
    }

    /// Returns whether the statement reads no relations but those of the plan: it calls no
    /// function, casts only literals, and uses only the commonest operators.
    pub(crate) fn is_bare(&self) -> bool {
        let mut is_bare = true;
        visit(&self.0, "", &mut |node, _| {
            is_bare &= !shows_less(kind(node)) && all_texts(node).all(is_bare_text);
        });
        is_bare
    }

    /// Returns whether all functions that the statement calls by name are built-in ones that read
    /// no table. Only the commonest are known; functions behind operators and casts are not
    /// checked.
    pub(crate) fn calls_known(&self) -> bool {
        let mut shows_all = true;
        visit(&self.0, "", &mut |node, _| {
            shows_all &= !shows_less(kind(node));
        });
        shows_all && self.called().iter().all(|name| looks_nowhere(name))
    }

    /// Returns whether the statement evaluates expressions that the plan does not show.
    pub(crate) fn hides_expressions(&self) -> bool {
        let mut hides = false;
        visit(&self.0, "", &mut |node, _| {
            hides |= kind(node) == "Values Scan";
        });
        hides
    }

    /// Returns the schemas and names of the relations that the statement reads.
    pub(crate) fn relations(&self) -> Vec<(String, String)> {
        let mut names = Vec::new();
        visit(&self.0, "", &mut |node, _| {
            let text = |field: &str| node[field].as_str().map(str::to_owned);
            names.extend(text("Schema").zip(text("Relation Name")));
        });
        names
    }

    /// Returns the names of all functions that the query calls.
    pub(crate) fn called(&self) -> Vec<String> {
        let mut names = Vec::new();
        visit(&self.0, "", &mut |node, _| {
            names.extend(all_texts(node).flat_map(called));
        });
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the operators that the statement may use, and whatever else looks like one.
    pub(crate) fn operators(&self) -> Vec<String> {
        let mut found = Vec::new();
        visit(&self.0, "", &mut |node, _| {
            let signs = all_texts(node).flat_map(|text| text.split(|c| !is_operator(c)));
            found.extend(signs.filter(|sign| !sign.is_empty()).map(str::to_owned));
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns whether the statement only scans the given range of one table's blocks, or reads
    /// nothing since no row can meet its conditions.
    pub(crate) fn is_block_scan(&self, condition: &str) -> bool {
        const PLAIN: [&str; 9] = [
            "Tid Range Scan",
            "Seq Scan",
            "Index Scan",
            "Bitmap Heap Scan",
            "Bitmap Index Scan",
            "Append",
            "ProjectSet",
            "Gather",
            "Subquery Scan",
        ];
        if kind(&self.0) == "Result" && self.0["One-Time Filter"] == "false" {
            return true;
        }
        let (mut scans, mut plain) = (0, true);
        visit(&self.0, "", &mut |node, _| {
            // A subquery with one value for all rows, which reads no table.
            let is_constant = node["Parent Relationship"] == "InitPlan"
                && kind(node) == "Result"
                && node["Plans"].is_null();
            plain &= is_constant || PLAIN.contains(&kind(node));
            if node["Relation Name"].is_string() {
                scans += 1;
                plain &= conditions(node).any(|found| found.contains(condition));
            }
        });
        plain && scans > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_told_by_all_that_is_called() {
        const OTHER: Option<&str> = Some("the key may be another one in each session");
        for (plan, query, other) in [
            (
                r#"{"Node Type": "Seq Scan", "Output": ["lower(a)"]}"#,
                "SELECT 'known'",
                None,
            ),
            (
                r#"{"Node Type": "Seq Scan", "Output": ["(ts - now())"]}"#,
                "",
                OTHER,
            ),
            (
                r#"{"Node Type": "Result", "Output": ["\"now\"()"]}"#,
                "",
                OTHER,
            ),
            (
                r#"{"Node Type": "Result", "Output": ["CURRENT_DATE"]}"#,
                "",
                OTHER,
            ),
            (
                r#"{"Node Type": "Result"}"#,
                "SELECT timestamptz ' Now '",
                OTHER,
            ),
            (
                r#"{"Node Type": "Aggregate"}"#,
                "",
                Some("the key is an expression, and the query makes groups of rows"),
            ),
        ] {
            let explained = Explained::new(vec![vec![Some(format!("[{{\"Plan\": {plan}}}]"))]]);
            let explained = explained.expect("JSON");
            assert_eq!(explained.makes_other_keys(query, &[]), other, "{plan}");
        }
    }

    #[test]
    fn what_a_statement_calls_is_known_where_its_plan_shows_it() {
        for (plan, is_bare, calls_known) in [
            (
                r#"{"Node Type": "Seq Scan", "Output": ["a", "\"b c\""], "Filter": "(a = 7)"}"#,
                true,
                true,
            ),
            (
                r#"{"Node Type": "Sort", "Sort Key": ["d DESC"], "Filter": "(d >= '2024-01-01'::date)"}"#,
                true,
                true,
            ),
            (
                r#"{"Node Type": "Seq Scan", "Output": ["lower(b)"]}"#,
                false,
                true,
            ),
            (
                r#"{"Node Type": "Seq Scan", "Output": ["f(a)"]}"#,
                false,
                false,
            ),
            (
                r#"{"Node Type": "Seq Scan", "Output": ["(c)::bigint"]}"#,
                false,
                true,
            ),
            (
                r#"{"Node Type": "Seq Scan", "Filter": "(a <+> 1)"}"#,
                false,
                true,
            ),
            (
                r#"{"Node Type": "Sort", "Sort Key": ["f(a)"]}"#,
                false,
                false,
            ),
            (
                r#"{"Node Type": "Values Scan", "Output": ["column1"]}"#,
                false,
                false,
            ),
            (
                r#"{"Node Type": "Function Scan", "Function Call": "f()"}"#,
                false,
                false,
            ),
        ] {
            let explained = Explained::new(vec![vec![Some(format!("[{{\"Plan\": {plan}}}]"))]]);
            let explained = explained.expect("JSON");
            assert_eq!(explained.is_bare(), is_bare, "{plan}");
            assert_eq!(explained.calls_known(), calls_known, "{plan}");
        }
    }

    #[test]
    fn conditions_on_stored_columns_come_at_any_time() {
        let probe = |text: &str| text.replace('?', &format!("'{}'::text", statements::PROBE));
        for (condition, is_stored) in [
            ("(t.a <> ?)", true),
            ("((t.a)::text <> ?)", true),
            (r#"(("T ""x"" y".",)(").a)::text <> ?)"#, false),
            (r#"(("T ""x"" y".",)(")::text <> ?)"#, true),
            ("((t.a)::text OPERATOR(pg_catalog.<>) ?)", true),
            ("(((t.s)::integer)::text <> ?)", false),
            ("(lower(t.s) <> ?)", false),
            ("((t.s || t.s) <> ?)", false),
            ("((- t.a)::text <> ?)", false),
            ("((t.a[1])::text <> ?)", false),
            ("(((t.a)::text <> ?) AND ((t.b)::text <> ?))", true),
            (
                "(((t.a)::text <> ?) AND (((t.b)::integer)::text <> ?))",
                false,
            ),
        ] {
            assert_eq!(probes_columns(&probe(condition)), is_stored, "{condition}");
        }
    }

    #[test]
    fn functions_are_found_by_their_parentheses() {
        let text = r#"(lower(t.name) || public."My ""f"""((random() * 2)), "it's"(1), '(')"#;
        assert_eq!(
            called(text).collect::<Vec<_>>(),
            ["lower", "My \"f\"", "random", "it's"]
        );
        for (text, is_now) in [
            (
                "((s)::text = 'now'::text) AND ((ts)::date > '2020-01-01'::date)",
                false,
            ),
            ("('now'::text)::timestamp with time zone", true),
            ("(COALESCE(t.a, 'now'::text))::date", true),
            (
                "(CASE WHEN (i > 0) THEN ') now'::text ELSE NULL::text END)::time",
                true,
            ),
            ("(t.now)::date", false),
        ] {
            assert_eq!(casts_now(text), is_now, "{text}");
        }
        for (text, is_now) in [
            ("age(t.a)", true),
            ("age((t.a)::timestamp with time zone)", true),
            ("age(t.a, t.b)", false),
            ("age(f(t.a, 1), t.b)", false),
            ("page(t.a)", false),
        ] {
            assert_eq!(is_age_now(text), is_now, "{text}");
        }
    }

    #[test]
    fn plans_tell_what_cannot_be_divided() {
        const LIMIT: Option<&str> = Some("the query has a LIMIT");
        const WINDOW: Option<&str> =
            Some("the query has window functions over rows of several partitions");
        let below = format!(
            r#"{{"Node Type": "Seq Scan", "Filter": "(k <> '{}')"}}"#,
            statements::PROBE
        );
        for (plan, reason) in [
            (r#"{"Node Type": "Seq Scan"}"#.to_owned(), None),
            (
                r#"{"Node Type": "Gather", "Plans": [{"Node Type": "Limit"}]}"#.to_owned(),
                LIMIT,
            ),
            (
                r#"{"Node Type": "Result", "Plans": [{"Node Type": "Limit",
                    "Parent Relationship": "InitPlan", "Plans": [{"Node Type": "Index Only Scan"}]}]}"#
                    .to_owned(),
                None,
            ),
            (
                r#"{"Node Type": "Subquery Scan", "Plans": [{"Node Type": "WindowAgg"}]}"#.to_owned(),
                WINDOW,
            ),
            (
                format!(r#"{{"Node Type": "WindowAgg", "Plans": [{below}]}}"#),
                None,
            ),
        ] {
            let explained = Explained::new(vec![vec![Some(format!("[{{\"Plan\": {plan}}}]"))]]);
            assert_eq!(explained.expect("JSON").indivisible(), reason, "{plan}");
        }
    }
}
