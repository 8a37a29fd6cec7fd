//! What the planner asks the server: whether a query can be divided, and where its keys lie.
//!
//! A sample decides no rows: one that is old, skewed or refused makes partitions less even, and no more.
//! Whether a query can be divided does: where that is in doubt, it is not.

use std::cmp::Ordering;

use industrydb_core::tokens::{has_outer_join, strings, without_schema};
use industrydb_core::{Error, Field, Sample, Value};
use serde_json::Value as Json;

use crate::dialect::{self, LEXICON};
use crate::types::{Decoding, TypeEntry};

/// The most blocks of a table that are looked at, at equal distances.
const MAX_BLOCKS: u64 = 3000;

/// Into how many pieces a table's blocks are counted.
const PIECES: u64 = 8192;

/// The nodes of a plan that make groups of rows.
const GROUPS: [&str; 5] = ["Aggregate", "Group", "Unique", "SetOp", "WindowAgg"];

/// A table, whose columns or rows are cut.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `r`, `p`, `m`, `v` …: <https://www.postgresql.org/docs/current/catalog-pg-class.html>
    kind: String,
    /// Whether each session has a table of this name to itself.
    is_temporary: bool,
    /// The blocks of the table, or of each table that it is divided into.
    blocks: Vec<u64>,
}

impl Table {
    /// Reads the answer to [`dialect::table`].
    pub(crate) fn new(rows: Vec<Vec<Option<String>>>) -> Option<Self> {
        let mut table: Option<Self> = None;
        for row in rows {
            let [
                Some(schema),
                Some(name),
                Some(kind),
                Some(persistence),
                Some(blocks),
            ] = <[_; 5]>::try_from(row).ok()?
            else {
                return None;
            };
            let blocks = blocks.parse().ok()?;
            match &mut table {
                Some(table) => table.blocks.push(blocks),
                None => {
                    table = Some(Self {
                        schema,
                        name,
                        kind,
                        is_temporary: persistence == "t",
                        blocks: vec![blocks],
                    });
                }
            }
        }
        table
    }

    /// Whether its columns may be expressions.
    pub(crate) fn is_view(&self) -> bool {
        self.kind == "v"
    }

    /// Whether its rows are stored in blocks of its own, which can be looked at one by one.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p" | "m") && !self.is_temporary
    }

    /// Where about `wanted` of its `rows` stand, evenly spread over all blocks.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rough numbers are all it takes"
    )]
    pub(crate) fn spread(&self, rows: f64, wanted: f64) -> Spread {
        let all: u64 = self.blocks.iter().sum();
        let step = all.div_ceil(MAX_BLOCKS).max(1);
        let blocks = (all as f64 / step as f64).max(1.0);
        let per_block = (rows / all.max(1) as f64).max(1.0);
        let taken = (wanted / blocks).ceil().clamp(1.0, per_block.floor());
        let place = |number: u64| 1 + (number as f64 * per_block / taken) as u64;
        Spread {
            first: step / 2,
            last: self.blocks.iter().copied().max().unwrap_or_default(),
            step,
            places: (0..taken as u64).map(place).collect(),
            rows: blocks * taken,
        }
    }

    /// The query with this table's name free for a common table expression.
    pub(crate) fn freed(&self, query: &str) -> String {
        without_schema(query, LEXICON, &self.schema, &self.name)
    }

    /// Numbers of blocks at equal distances, each with the share of `rows` in the blocks up to the next.
    /// All tables that a table is divided into are cut at the same numbers.
    #[expect(clippy::cast_precision_loss, reason = "a rough number is all it takes")]
    pub(crate) fn block_sample(&self, rows: f64) -> Sample {
        let all: u64 = self.blocks.iter().sum();
        let most = self.blocks.iter().copied().max().unwrap_or_default();
        let step = most.div_ceil(PIECES).max(1);
        let within = |start: u64| -> u64 {
            let piece = |blocks: &u64| blocks.saturating_sub(start).min(step);
            self.blocks.iter().map(piece).sum()
        };
        let key = |number: u64| {
            let start = number * step;
            let share = within(start) as f64 / all as f64;
            let block = i64::try_from(start).unwrap_or(i64::MAX);
            (Value::Integer(block), share * rows)
        };
        Sample {
            keys: (0..most.div_ceil(step)).map(key).collect(),
        }
    }
}

/// Rows of a table at equal distances, by where they are stored. Some places may be empty.
#[derive(Debug, PartialEq)]
pub(crate) struct Spread {
    /// The numbers of the first and behind the last block.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) step: u64,
    /// Numbers of rows in each of these blocks.
    pub(crate) places: Vec<u64>,
    /// How many rows these are.
    pub(crate) rows: f64,
}

/// Reads the answer to a sampling query: keys as text, and how many of each there are.
pub(crate) fn sample(rows: Vec<Vec<Option<String>>>, rows_per_key: f64) -> Sample {
    let key = |row: Vec<Option<String>>| {
        let [key, Some(count)] = <[_; 2]>::try_from(row).ok()? else {
            return None;
        };
        let count: f64 = count.parse().ok()?;
        Some((key.map_or(Value::Null, Value::Text), count * rows_per_key))
    };
    Sample {
        keys: rows.into_iter().filter_map(key).collect(),
    }
}

/// The number of keys behind a sample.
pub(crate) fn sampled(rows: &[Vec<Option<String>>]) -> f64 {
    rows.iter()
        .filter_map(|row| row.get(1)?.as_deref()?.parse::<f64>().ok())
        .sum()
}

/// How each cut compares with the next one, where that is known without asking.
pub(crate) fn compare_integers(key_type: &TypeEntry, cuts: &[Value]) -> Option<Vec<Ordering>> {
    let integer = |cut: &Value| match cut {
        Value::Integer(value) => Some(*value),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let are_integers = matches!(
        key_type.decoding,
        Decoding::Int2 | Decoding::Int4 | Decoding::Int8
    );
    if cuts.len() > 1 && !are_integers {
        return None;
    }
    let pair = |pair: &[Value]| Some(integer(&pair[0])?.cmp(&integer(&pair[1])?));
    cuts.windows(2).map(pair).collect()
}

/// Reads the answer to [`dialect::rising`].
pub(crate) fn compared(rows: Vec<Vec<Option<String>>>) -> Vec<Ordering> {
    let ordering = |row: Vec<Option<String>>| {
        let is = |index: usize, sign: &str| row.get(index).and_then(Option::as_deref) == Some(sign);
        match (is(0, "t") && is(1, "f"), is(0, "f") && is(1, "f")) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Equal,
            _ => Ordering::Greater,
        }
    };
    rows.into_iter().map(ordering).collect()
}

/// Whether most keys are NULLs that an outer join may have made, since the rows were left out that it looks for.
pub(crate) fn is_padded(query: &str, rows: &[Vec<Option<String>>]) -> bool {
    let nulls = rows.iter().take_while(|row| row.first() == Some(&None));
    let nulls = sampled(&nulls.cloned().collect::<Vec<_>>());
    has_outer_join(query, LEXICON) && nulls * 2.0 > sampled(rows)
}

/// What the server would do with a statement.
pub(crate) struct Explained(Json);

impl Explained {
    /// Reads the answer to `EXPLAIN (FORMAT JSON)`.
    pub(crate) fn new(rows: Vec<Vec<Option<String>>>) -> Option<Self> {
        let text = rows.into_iter().flatten().flatten().next()?;
        let mut json: Json = serde_json::from_str(&text).ok()?;
        json.pointer_mut("/0/Plan").map(Json::take).map(Self)
    }

    /// How many rows it expects.
    pub(crate) fn rows(&self) -> f64 {
        self.0["Plan Rows"].as_f64().unwrap_or(1.0).max(1.0)
    }

    /// Whether the statement of [`dialect::keys_of_some_rows`] looks at some rows only.
    pub(crate) fn is_of_some_rows(&self) -> bool {
        let mut looks_up = false;
        visit(&self.0, "", &mut |node, _| {
            looks_up |= node["TID Cond"].is_string();
        });
        looks_up
    }

    /// Whether the query has a LIMIT.
    pub(crate) fn has_limit(&self) -> bool {
        let mut found = false;
        visit(&self.0, "", &mut |node, parent| {
            found |= kind(node) == "Limit" && !finds_an_end(node, parent);
        });
        found
    }

    /// Whether rows of the query may stand for others that are equal to them by what it takes for equal: for those of a
    /// group, a DISTINCT, a set operation or a window. Where the values of a DISTINCT are known, a LIMIT is left of it.
    pub(crate) fn has_groups(&self) -> bool {
        let mut found = false;
        visit(&self.0, "", &mut |node, _| {
            found |= GROUPS.contains(&kind(node)) || kind(node) == "Limit";
        });
        found
    }

    /// Why evaluating the query of [`dialect::probe`] several times may give rows that do not belong
    /// together, if it may. Volatile functions are left to [`Explained::called`].
    ///
    /// Where the condition of the probe stands shows which rows the server would look at for a partition. Ties of
    /// a window or a DISTINCT ON must be broken in one evaluation, so the condition must come before them.
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

    /// Whether the statement asks for the time, or for what else is another one in each session. What its strings and
    /// parameters are read as, the plan does not show: [`clock::reads_time`](crate::clock::reads_time).
    pub(crate) fn asks_for_time(&self) -> bool {
        let mut asks = false;
        visit(&self.0, "", &mut |node, _| {
            asks |= all_texts(node).any(|text| {
                if casts_now(text) {
                    return true;
                }
                // Without literals, whose quotes are doubled within.
                let text: String = text.split('\'').step_by(2).collect();
                has_clock_keyword(&text)
                    || called(&text).any(|name| OF_THE_SESSION.contains(&name.as_str()))
                    || is_age_now(&text)
            });
        });
        asks
    }

    /// Whether a condition on columns may be tried on rows that the query's own conditions keep from the expressions behind
    /// the columns, and fail there. [`dialect::probe`] has shown where such a condition would stand.
    pub(crate) fn tries_too_early(&self) -> bool {
        let (mut is_computed, mut has_conditions) = (false, false);
        visit(&self.0, "", &mut |node, _| {
            let own = CONDITIONS.iter().filter_map(|name| node[*name].as_str());
            for condition in own {
                let probed = condition.contains(dialect::PROBE);
                has_conditions |= !probed || condition.contains(" AND ");
                // A condition on a subquery's rows may go into it, where the probe cannot.
                is_computed |=
                    probed && (kind(node) == "Subquery Scan" || !probes_columns(condition));
            }
            has_conditions |= !is_scan(kind(node));
        });
        is_computed && has_conditions
    }

    /// Why a key that is no table's column may be another one in each session, if it may.
    ///
    /// Groups may hold values to be equal that an expression tells apart, sums and lists depend on the order
    /// of their rows, and the time is each session's own. What the key itself is made of cannot be told from
    /// the rest of the query, so all of it counts.
    pub(crate) fn makes_other_keys(
        &self,
        query: &str,
        parameters: &[Option<String>],
    ) -> Option<&'static str> {
        let mut given = parameters.iter().flatten();
        let mut timed =
            strings(query, LEXICON).into_iter().any(says_now) || given.any(|text| says_now(text));
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

    /// Whether running the statement can look into no relation but those of the plan: it calls nothing,
    /// casts nothing, and compares and reckons with the commonest operators.
    pub(crate) fn is_bare(&self) -> bool {
        let mut is_bare = true;
        visit(&self.0, "", &mut |node, _| {
            is_bare &= !shows_less(kind(node)) && all_texts(node).all(is_bare_text);
        });
        is_bare
    }

    /// Whether all that the statement calls by a name are functions of the server's own that look into no
    /// table. Only the commonest are known to be; of what has no name, nothing is known.
    pub(crate) fn calls_known(&self) -> bool {
        let mut shows_all = true;
        visit(&self.0, "", &mut |node, _| {
            shows_all &= !shows_less(kind(node));
        });
        shows_all && self.called().iter().all(|name| looks_nowhere(name))
    }

    /// Whether a part of the statement is evaluated whose expressions the plan does not show.
    pub(crate) fn hides_expressions(&self) -> bool {
        let mut hides = false;
        visit(&self.0, "", &mut |node, _| {
            hides |= kind(node) == "Values Scan";
        });
        hides
    }

    /// The names of the relations that it looks into, with their schemas.
    pub(crate) fn relations(&self) -> Vec<(String, String)> {
        let mut names = Vec::new();
        visit(&self.0, "", &mut |node, _| {
            let text = |field: &str| node[field].as_str().map(str::to_owned);
            names.extend(text("Schema").zip(text("Relation Name")));
        });
        names
    }

    /// The names of all functions that the query calls.
    pub(crate) fn called(&self) -> Vec<String> {
        let mut names = Vec::new();
        visit(&self.0, "", &mut |node, _| {
            names.extend(all_texts(node).flat_map(called));
        });
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The operators that the statement may use, and whatever else looks like them.
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

    /// Whether the statement passes over the given range of one table's blocks, and does nothing else; or over none, since
    /// no row can fulfil its conditions.
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
            // What has one value for all rows, and looks into no table.
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

/// Shows each node, and the kind of the node above it.
fn visit<'a>(node: &'a Json, parent: &str, see: &mut dyn FnMut(&'a Json, &str)) {
    see(node, parent);
    for child in node["Plans"].as_array().into_iter().flatten() {
        visit(child, kind(node), see);
    }
}

fn kind(node: &Json) -> &str {
    node["Node Type"].as_str().unwrap_or_default()
}

/// The texts of a node, its conditions among them.
fn conditions(node: &Json) -> impl Iterator<Item = &str> {
    let fields = node.as_object().into_iter().flatten();
    fields.filter_map(|(_, value)| value.as_str())
}

/// Conditions of nodes, by which rows are left out.
const CONDITIONS: [&str; 9] = [
    "Filter",
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "One-Time Filter",
    "Join Filter",
    "Hash Cond",
    "Merge Cond",
    "Run Condition",
];

/// Whether a kind of node gives all rows of a table that its condition does not leave out, or puts such rows together.
fn is_scan(kind: &str) -> bool {
    matches!(kind, "Seq Scan" | "Append" | "Gather" | "Result")
}

/// Whether all probes of a condition are of columns as they are stored, by their names: `((t.a)::text <> '…'::text)`.
fn probes_columns(condition: &str) -> bool {
    let mut before = condition.split(dialect::PROBE).collect::<Vec<_>>();
    before.pop(); // what is behind the last probe
    before.into_iter().all(|text| {
        let text = text.trim_end_matches('\'').trim_end();
        let text = text
            .strip_suffix("OPERATOR(pg_catalog.<>)")
            .or(text.strip_suffix("<>"));
        text.is_some_and(|text| ends_with_column(text.trim_end()))
    })
}

/// Whether a text ends with `(table.column`, or `((table.column)::text`.
fn ends_with_column(text: &str) -> bool {
    let inner = ["::text", "::pg_catalog.text"]
        .iter()
        .find_map(|cast| text.strip_suffix(cast)?.strip_suffix(')'));
    let table = without_name(inner.unwrap_or(text)).and_then(|text| text.strip_suffix('.'));
    table
        .and_then(without_name)
        .is_some_and(|text| text.ends_with('('))
}

/// A text without the name that it ends with, in quotes or not.
fn without_name(text: &str) -> Option<&str> {
    let quoted = |text: &str| -> Option<usize> {
        let mut end = text.strip_suffix('"')?.rfind('"')?;
        // Quotes within are doubled.
        while let Some(rest) = text[..end].strip_suffix('"') {
            end = rest.rfind('"')?;
        }
        Some(end)
    };
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let plain = text.trim_end_matches(is_name).len();
    let start = quoted(text).unwrap_or(plain);
    (start < text.len()).then(|| &text[..start])
}

/// Whether a kind of node is of other expressions than those that a plan shows, or of others' code.
fn shows_less(kind: &str) -> bool {
    const KINDS: [&str; 5] = [
        "Values Scan",
        "Table Function Scan",
        "Sample Scan",
        "Custom Scan",
        "Foreign Scan",
    ];
    KINDS.contains(&kind)
}

/// All texts of a node, in lists too.
fn all_texts(node: &Json) -> impl Iterator<Item = &str> {
    let fields = node.as_object().into_iter().flatten();
    let lists = fields.filter(|(name, _)| *name != "Plans");
    let lists = lists.filter_map(|(_, value)| value.as_array());
    conditions(node).chain(lists.flatten().filter_map(Json::as_str))
}

fn is_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?:".contains(c)
}

/// Whether a text of a plan is made of names, literals and the commonest operators alone.
fn is_bare_text(text: &str) -> bool {
    const OPERATORS: [&str; 13] = [
        "=", "<", ">", "<=", ">=", "<>", "+", "-", "*", "/", "%", "||", "::",
    ];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first == '\'' || first == '"' {
            // Doubled quotes read as two literals side by side.
            match rest[1..].find(first) {
                Some(end) => end + 2,
                None => return false,
            }
        } else if is_operator(first) {
            let length = rest.find(|c| !is_operator(c)).unwrap_or(rest.len());
            let operator = &rest[..length];
            let of_literal = text[..text.len() - rest.len()].ends_with('\'');
            if !OPERATORS.contains(&operator) || (operator == "::" && !of_literal) {
                return false;
            }
            length
        } else if first.is_alphanumeric() || first == '_' {
            let is_name = |c: char| c.is_alphanumeric() || "_$".contains(c);
            let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if rest[length..].starts_with('(') {
                return false;
            }
            length
        } else {
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    true
}

/// The names in front of opening parentheses, without their quotes.
pub(crate) fn called(text: &str) -> impl Iterator<Item = String> {
    text.match_indices('(').filter_map(|(at, _)| {
        let before = &text[..at];
        let name = &before[without_name(before)?.len()..];
        let quoted = name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'));
        Some(quoted.map_or_else(|| name.to_owned(), |name| name.replace("\"\"", "\"")))
    })
}

/// The texts of a node, and those of its columns.
fn texts(node: &Json) -> impl Iterator<Item = &str> {
    let output = node["Output"].as_array().into_iter().flatten();
    conditions(node).chain(output.filter_map(Json::as_str))
}

fn is_probed_below(node: &Json) -> bool {
    let mut probed = false;
    visit(node, "", &mut |below, _| {
        probed |= conditions(below).any(|condition| condition.contains(dialect::PROBE));
    });
    probed
}

/// Whether the server uses a LIMIT to find a `min` or `max` in an index, which is always the same.
fn finds_an_end(limit: &Json, parent: &str) -> bool {
    parent == "Result"
        && limit["Parent Relationship"] == "InitPlan"
        && matches!(kind(&limit["Plans"][0]), "Index Scan" | "Index Only Scan")
}

/// What the input functions of dates and times read as the time, or the day, of their session.
const NOW: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// Whether a text may be read as the time, alone or within a list, a range or a row: `[today,)`.
pub(crate) fn says_now(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    // A name in quotes is no text.
    !text.starts_with('"') && words.any(|word| NOW.contains(&word))
}

/// Whether a text of a plan casts what stands in brackets to a time, and a text `now` is in them:
/// `(COALESCE(t.a, 'now'::text))::date`.
fn casts_now(text: &str) -> bool {
    let says = |text: &str| text.split('\'').skip(1).step_by(2).any(says_now);
    let casts = [")::timestamp", ")::date", ")::time"];
    let ends = casts.iter().flat_map(|cast| text.match_indices(cast));
    says(text)
        && ends.into_iter().any(|(end, _)| {
            let mut depth = 0_i32;
            let start = text[..=end].rfind(|c: char| {
                depth += i32::from(c == ')') - i32::from(c == '(');
                depth == 0
            });
            says(&text[start.unwrap_or(0)..=end])
        })
}

/// Whether a text of a plan asks for the time by a keyword, outside of names in quotes.
fn has_clock_keyword(text: &str) -> bool {
    const KEYWORDS: [&str; 5] = [
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "LOCALTIME",
        "LOCALTIMESTAMP",
    ];
    let outside = text.split('"').step_by(2);
    outside
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .any(|word| KEYWORDS.contains(&word))
}

/// Whether a text of a plan calls `age` with one argument, which counts to the present day.
fn is_age_now(text: &str) -> bool {
    text.match_indices("age(").any(|(at, name)| {
        let is_whole = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let mut depth = 0_i32;
        let behind = text[at + name.len()..].chars();
        let mut end = behind.skip_while(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth >= 0 && !(depth == 0 && *c == ',')
        });
        is_whole && end.next() != Some(',')
    })
}

/// Functions of the catalog that sessions with the same snapshot and settings answer differently.
const OF_THE_SESSION: [&str; 10] = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "pg_backend_pid",
    "txid_current",
    "txid_current_if_assigned",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "inet_client_port",
    "inet_client_addr",
];

/// Whether a name in front of a parenthesis is that of a type, or of a function of the server's own that
/// looks into no table. Only the commonest are: for others, the locks are looked at.
fn looks_nowhere(name: &str) -> bool {
    const NAMES: [&str; 70] = [
        "ARRAY",
        "COALESCE",
        "EXTRACT",
        "GREATEST",
        "LEAST",
        "NULLIF",
        "ROW",
        "abs",
        "array_agg",
        "avg",
        "bit",
        "bpchar",
        "btrim",
        "ceil",
        "ceiling",
        "character",
        "concat",
        "concat_ws",
        "count",
        "date",
        "date_part",
        "date_trunc",
        "dense_rank",
        "extract",
        "first_value",
        "float4",
        "float8",
        "floor",
        "generate_series",
        "greatest",
        "int4",
        "int8",
        "interval",
        "lag",
        "last_value",
        "lead",
        "left",
        "length",
        "lower",
        "lpad",
        "ltrim",
        "max",
        "md5",
        "min",
        "mod",
        "now",
        "ntile",
        "numeric",
        "position",
        "power",
        "rank",
        "replace",
        "right",
        "round",
        "row_number",
        "rpad",
        "rtrim",
        "split_part",
        "sqrt",
        "string_agg",
        "strpos",
        "substr",
        "substring",
        "sum",
        "time",
        "timestamp",
        "to_char",
        "unnest",
        "upper",
        "varying",
    ];
    NAMES.contains(&name)
}

/// The error for a key that the server cannot sort.
pub(crate) fn unordered(field: &Field, error: &Error) -> Error {
    Error::configuration(format!(
        "partition_on={:?} has the type {}, whose values cannot be put in order: {error}",
        field.name, field.database_type
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::built_in;

    fn table(blocks: &[u64]) -> Table {
        Table {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            kind: "r".to_owned(),
            is_temporary: false,
            blocks: blocks.to_vec(),
        }
    }

    #[test]
    fn blocks_of_all_sizes_are_shared_out() {
        let sample = table(&[0, 4, 2]).block_sample(60.0);
        let expected = [(0, 20.0), (1, 20.0), (2, 10.0), (3, 10.0)];
        let expected = expected.map(|(block, rows)| (Value::Integer(block), rows));
        assert_eq!(sample.keys, expected);
        let large = table(&[1 << 31]).block_sample(1.0);
        assert_eq!(large.keys.len() as u64, PIECES);
        assert_eq!(table(&[0]).block_sample(1.0).keys, []);
    }

    #[test]
    fn rows_are_spread_over_all_blocks() {
        for (blocks, rows, expected) in [
            (&[100_000][..], 6_000_000.0, (17, 34, vec![1, 16, 31, 46])),
            (&[50], 100.0, (0, 1, vec![1, 2])),
            (
                &[10, 0],
                1_000_000.0,
                (0, 1, (0..1000).map(|n| 1 + 100 * n).collect()),
            ),
            (&[0], 1.0, (0, 1, vec![1])),
        ] {
            let spread = table(blocks).spread(rows, 10_000.0);
            assert_eq!((spread.first, spread.step, spread.places), expected);
        }
    }

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
    fn cuts_are_compared_as_the_server_says() {
        use Ordering::{Equal, Greater, Less};
        let row = |rises: &str, falls: &str| vec![Some(rises.to_owned()), Some(falls.to_owned())];
        let rows = vec![
            row("t", "f"),
            row("f", "f"),
            row("f", "t"),
            vec![None, None],
        ];
        assert_eq!(compared(rows), [Less, Equal, Greater, Greater]);
        let text = |text: &str| Value::Text(text.to_owned());
        let cuts = [text("9"), Value::Integer(10), text("10"), text("-1")];
        for (oid, cuts, expected) in [
            (20, &cuts[..], Some(vec![Less, Equal, Greater])),
            (25, &cuts[..], None),
            (25, &cuts[..1], Some(vec![])),
            (23, &[Value::Float(0.5), Value::Integer(1)], None),
        ] {
            let key_type = built_in(oid, -1).expect("built in");
            assert_eq!(
                compare_integers(&key_type, cuts),
                expected,
                "{oid} {cuts:?}"
            );
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
        let probe = |text: &str| text.replace('?', &format!("'{}'::text", dialect::PROBE));
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
            dialect::PROBE
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
