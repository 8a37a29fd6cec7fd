//! Finds the tables that a query reads.

use std::collections::BTreeSet;

use industrydb_core::shape::words;
use industrydb_core::tokens::{Lexicon, strings};
use industrydb_core::{Error, Result, Stop};

use crate::session::connect::Session;
use crate::sql::control;
use crate::sql::dialect::SqlMode;
use crate::sql::sources::{called, may_read, owners};

/// Largest number of views that are made of one another.
const MAX_DEPTH: usize = 32;

/// Engines whose tables have snapshots, in lower case, and the one whose tables have no content.
const ENGINES: [&str; 5] = ["innodb", "rocksdb", "tokudb", "sequence", "blackhole"];

/// The tables, views and functions that may be those of a query: all that have a name that occurs
/// in the query, or in the definition of such a view.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// Quoted names of tables and views, with their databases'.
    pub(crate) names: Vec<String>,
    pub(crate) definitions: Definitions,
}

/// Looks up the tables of some queries.
///
/// # Errors
///
/// [`Error::Configuration`] for a table whose engine has no snapshots.
pub(crate) fn tables(session: &mut Session, queries: &[String], stop: &Stop) -> Result<Tables> {
    let definitions = definitions(session, queries, stop)?;
    let lexicon = session.mode.lexicon();
    let may_be_read = |schema: &str, name: &str| {
        let of_query = |query: &String| may_read(query, lexicon, schema, name);
        let in_view = |view: &String| of_view(view, schema, name);
        queries.iter().any(of_query) || definitions.views.iter().any(in_view)
    };
    let mut found = Vec::new();
    for row in session.rows(&control::tables(&definitions.names), stop)? {
        let [Some(schema), Some(name), Some(kind), engine] = &row[..] else {
            continue;
        };
        let is_of_server = kind == "SYSTEM VIEW";
        let has_snapshots = engine
            .as_ref()
            .is_none_or(|engine| ENGINES.contains(&engine.to_ascii_lowercase().as_str()));
        if has_snapshots && !is_of_server {
            found.push(control::qualified(schema, name));
        } else if may_be_read(schema, name) {
            let why = match engine {
                Some(engine) if !is_of_server => format!("is stored by {engine}"),
                _ => "shows the state of the server".to_owned(),
            };
            return Err(Error::configuration(format!(
                "the table {schema}.{name} {why}, which has no snapshots, so several sessions cannot see one state \
                 of it; snapshot=False reads without, and partitions=1 in one statement"
            )));
        }
    }
    Ok(Tables {
        names: found,
        definitions,
    })
}

/// Adds the server's spelling of its own tables, which may be written in upper or lower case.
fn with_spellings(names: &mut BTreeSet<String>) {
    const OWN: [&str; 2] = ["information_schema", "performance_schema"];
    let is_own = |name: &String| OWN.iter().any(|own| name.eq_ignore_ascii_case(own));
    if names.iter().any(is_own) {
        let spelled = |name: &String| [name.to_uppercase(), name.to_lowercase()];
        let spelled: Vec<String> = names.iter().flat_map(spelled).collect();
        names.extend(spelled);
    }
}

/// Parts of queries that are defined elsewhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Definitions {
    /// All names in the queries, and in the views that they may read.
    pub(crate) names: Vec<String>,
    /// Definitions of these views, in the server's spelling; empty for those that the user may not
    /// see.
    pub(crate) views: Vec<String>,
    /// Whether the queries may call a stored function, which may read any other table.
    pub(crate) has_functions: bool,
}

/// Looks up the views and the functions that queries may use.
pub(crate) fn definitions(
    session: &mut Session,
    queries: &[String],
    stop: &Stop,
) -> Result<Definitions> {
    let mut names = BTreeSet::new();
    for query in queries {
        names.extend(mentioned(query, session.mode.lexicon()));
    }
    let views = views(session, &mut names, stop)?;
    with_spellings(&mut names);
    let names: Vec<String> = names.into_iter().collect();
    Ok(Definitions {
        has_functions: has_functions(session, queries, &views, &names, stop)?,
        names,
        views,
    })
}

/// Returns whether the queries, or the views that they read, may call a stored function. `names`
/// are all names in them.
fn has_functions(
    session: &mut Session,
    queries: &[String],
    views: &[String],
    names: &[String],
    stop: &Stop,
) -> Result<bool> {
    let (mut functions, mut packages) = (BTreeSet::new(), BTreeSet::new());
    let queries = queries.iter().map(|query| (query, session.mode.lexicon()));
    let views = views
        .iter()
        .map(|view| (view, SqlMode::default().lexicon()));
    for (text, lexicon) in queries.chain(views) {
        functions.extend(called(text, lexicon));
        packages.extend(owners(text, lexicon));
    }
    if functions.is_empty() {
        return Ok(false);
    }
    let [functions, packages] = [functions, packages].map(Vec::from_iter);
    let found = session.rows(&control::functions(&functions, &packages, names), stop)?;
    Ok(!found.is_empty())
}

/// Returns whether a view, whose definition is empty if the user may not see it, may read a table.
fn of_view(definition: &str, schema: &str, table: &str) -> bool {
    let lexicon = SqlMode::default().lexicon();
    definition.is_empty() || may_read(definition, lexicon, schema, table)
}

/// Returns the definitions of the views with these names, and of those that they read; adds the
/// names in them.
fn views(session: &mut Session, names: &mut BTreeSet<String>, stop: &Stop) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for _ in 0..MAX_DEPTH {
        let known: Vec<String> = names.iter().cloned().collect();
        let rows = session.rows(&control::views(&known), stop)?;
        found = rows
            .into_iter()
            .flatten()
            .map(Option::unwrap_or_default)
            .collect();
        for definition in &found {
            // The server prints definitions in its own spelling.
            names.extend(mentioned(definition, SqlMode::default().lexicon()));
        }
        if names.len() == known.len() {
            break;
        }
    }
    Ok(found)
}

/// Returns the names in a query, in quotes or not.
fn mentioned(query: &str, lexicon: Lexicon) -> Vec<String> {
    let quoted = strings(query, lexicon).into_iter().filter_map(|string| {
        let quote = string
            .text
            .chars()
            .next()
            .filter(|c| matches!(c, '`' | '"'))?;
        let inner = string.text.get(1..string.text.len().checked_sub(1)?)?;
        Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
    });
    let words = words(query, lexicon).into_iter();
    words.map(str::to_owned).chain(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_quotes_and_without() {
        let found = mentioned(
            "SELECT a.b FROM `my ``table` a, shop.orders, /*!50000new*/, $d # x\n WHERE c = 'none'",
            SqlMode::default().lexicon(),
        );
        for name in ["my `table", "shop", "orders", "new", "$d"] {
            assert!(found.iter().any(|other| other == name), "{name}");
        }
        assert!(!found.iter().any(|name| name == "none" || name == "x"));
    }
}
