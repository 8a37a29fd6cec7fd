//! The nodes of a plan and their texts: what they call, and whether that depends on the session.

use serde_json::Value as Json;

use crate::sql::now::says_now;
use crate::sql::statements;

/// Calls `see` with each node, and with the kind of the node above it.
pub(super) fn visit<'a>(node: &'a Json, parent: &str, see: &mut dyn FnMut(&'a Json, &str)) {
    see(node, parent);
    for child in node["Plans"].as_array().into_iter().flatten() {
        visit(child, kind(node), see);
    }
}

pub(super) fn kind(node: &Json) -> &str {
    node["Node Type"].as_str().unwrap_or_default()
}

/// Returns the texts of a node, its conditions among them.
pub(super) fn conditions(node: &Json) -> impl Iterator<Item = &str> {
    let fields = node.as_object().into_iter().flatten();
    fields.filter_map(|(_, value)| value.as_str())
}

/// Fields of a node with conditions that leave rows out.
pub(super) const CONDITIONS: [&str; 9] = [
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

/// Returns whether a kind of node only returns the rows of a table for which its condition holds,
/// or combines such rows.
pub(super) fn is_scan(kind: &str) -> bool {
    matches!(kind, "Seq Scan" | "Append" | "Gather" | "Result")
}

/// Returns whether all probes in a condition test stored columns by name, as in
/// `((t.a)::text <> '…'::text)`.
pub(super) fn probes_columns(condition: &str) -> bool {
    let mut before = condition.split(statements::PROBE).collect::<Vec<_>>();
    before.pop(); // the text after the last probe
    before.into_iter().all(|text| {
        let text = text.trim_end_matches('\'').trim_end();
        let text = text
            .strip_suffix("OPERATOR(pg_catalog.<>)")
            .or(text.strip_suffix("<>"));
        text.is_some_and(|text| ends_with_column(text.trim_end()))
    })
}

/// Returns whether a text ends with `(table.column`, or `((table.column)::text`.
pub(super) fn ends_with_column(text: &str) -> bool {
    let inner = ["::text", "::pg_catalog.text"]
        .iter()
        .find_map(|cast| text.strip_suffix(cast)?.strip_suffix(')'));
    let table = without_name(inner.unwrap_or(text)).and_then(|text| text.strip_suffix('.'));
    table
        .and_then(without_name)
        .is_some_and(|text| text.ends_with('('))
}

/// Returns a text without the name, quoted or not, that it ends with.
pub(super) fn without_name(text: &str) -> Option<&str> {
    let quoted = |text: &str| -> Option<usize> {
        let mut end = text.strip_suffix('"')?.rfind('"')?;
        // Quotes within a name are doubled.
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

/// Returns whether a kind of node evaluates expressions that a plan does not show, or runs the code
/// of an extension.
pub(super) fn shows_less(kind: &str) -> bool {
    const KINDS: [&str; 5] = [
        "Values Scan",
        "Table Function Scan",
        "Sample Scan",
        "Custom Scan",
        "Foreign Scan",
    ];
    KINDS.contains(&kind)
}

/// Returns all texts of a node, also those in lists.
pub(super) fn all_texts(node: &Json) -> impl Iterator<Item = &str> {
    let fields = node.as_object().into_iter().flatten();
    let lists = fields.filter(|(name, _)| *name != "Plans");
    let lists = lists.filter_map(|(_, value)| value.as_array());
    conditions(node).chain(lists.flatten().filter_map(Json::as_str))
}

pub(super) fn is_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?:".contains(c)
}

/// Returns whether a text of a plan consists only of names, literals and the commonest operators.
pub(super) fn is_bare_text(text: &str) -> bool {
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

/// Returns the names before opening parentheses, without their quotes.
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

/// Returns the texts of a node, and those of its output columns.
pub(super) fn texts(node: &Json) -> impl Iterator<Item = &str> {
    let output = node["Output"].as_array().into_iter().flatten();
    conditions(node).chain(output.filter_map(Json::as_str))
}

pub(super) fn is_probed_below(node: &Json) -> bool {
    let mut probed = false;
    visit(node, "", &mut |below, _| {
        probed |= conditions(below).any(|condition| condition.contains(statements::PROBE));
    });
    probed
}

/// Returns whether the server uses a LIMIT to find a `min` or `max` in an index, which gives the
/// same result each time.
pub(super) fn finds_an_end(limit: &Json, parent: &str) -> bool {
    parent == "Result"
        && limit["Parent Relationship"] == "InitPlan"
        && matches!(kind(&limit["Plans"][0]), "Index Scan" | "Index Only Scan")
}

/// Returns whether a text of a plan casts an expression in parentheses to a time, and the
/// expression contains a text such as `now`: `(COALESCE(t.a, 'now'::text))::date`.
pub(super) fn casts_now(text: &str) -> bool {
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

/// Returns whether a text of a plan asks for the time by a keyword, outside of quoted names.
pub(super) fn has_clock_keyword(text: &str) -> bool {
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

/// Returns whether a text of a plan calls `age` with one argument, which counts up to the present
/// day.
pub(super) fn is_age_now(text: &str) -> bool {
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

/// Built-in functions that return different values in sessions with the same snapshot and settings.
/// The first three return the time.
pub(super) const OF_THE_SESSION: [&str; 10] = [
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

/// Returns whether a name before a parenthesis is that of a type, or of a built-in function that
/// reads no table. Only the commonest are listed; for others, the session's locks are checked.
pub(super) fn looks_nowhere(name: &str) -> bool {
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
