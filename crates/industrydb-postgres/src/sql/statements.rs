//! The statements that are built around a query, and the queries of the catalog.

use industrydb_core::{Field, Value};

use crate::sql::casts;
use crate::sql::dialect::{DIALECT, quoted};
use crate::sql::parameters;
use crate::sql::table::{Spread, Table};
use crate::types::order::in_catalog;
use crate::types::{Decoding, TypeEntry};

/// Asks for the columns of a table, whose name follows: name, type, the type's name, whether the
/// column is in the primary key, whether COPY can write into the table, and the full declared type.
const COLUMNS: &str = "SELECT a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, -1), \
     COALESCE(a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]), false), \
     c.relkind IN ('r', 'p', 'f') AND NOT c.relhasrules AND NOT pg_catalog.row_security_active(c.oid), \
     pg_catalog.format_type(a.atttypid, a.atttypmod) || COALESCE((SELECT ' COLLATE ' || \
     pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(l.collname) FROM pg_catalog.pg_collation AS l \
     JOIN pg_catalog.pg_namespace AS s ON s.oid = l.collnamespace JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
     WHERE l.oid = a.attcollation AND l.oid <> t.typcollation), '') \
     FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid \
     LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary \
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ";

/// Asks for the columns of a table.
pub(crate) fn columns(target: &str) -> String {
    let target = literal(&Value::Text(target.to_owned()), "pg_catalog.regclass");
    format!("{COLUMNS}{target} ORDER BY a.attnum")
}

/// Asks for the name of a type.
pub(crate) fn type_of(oid: u32) -> String {
    format!("SELECT pg_catalog.format_type({oid}, -1)")
}

/// Returns an INSERT of one row into some columns, whose values are parameters. As in a COPY,
/// values of identity columns may be given.
pub(crate) fn parameterized_insert(target: &str, names: &[&str]) -> String {
    let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let values: Vec<String> = (1..=names.len()).map(DIALECT.placeholder).collect();
    format!(
        "INSERT INTO {target} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
        columns.join(", "),
        values.join(", ")
    )
}

/// Asks whether there is a table with the name in the parameter.
pub(crate) const HAS_TABLE: &str = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";

/// Returns the name of a temporary table for rows that the server has to process before they are
/// inserted into their own, whose name without a schema must not mean the temporary one.
pub(crate) fn stage(table: &str) -> industrydb_core::Result<String> {
    const NAME: &str = "industrydb_rows";
    let is_taken = DIALECT.parts(table)?.last().is_some_and(|own| own == NAME);
    Ok(format!("pg_temp.{NAME}{}", if is_taken { "_" } else { "" }))
}

/// Text that no key has. It marks the condition of a probe in a plan.
pub(crate) const PROBE: &str = "industrydb probes";

/// Returns the query with casts for the columns that the server must convert.
pub(crate) fn with_casts(query: &str, fields: &[Field], decodings: &[Decoding]) -> String {
    let mut any = false;
    let column = |(field, decoding): (&Field, &Decoding)| {
        let name = quoted(&field.name);
        let cast = casts::cast(decoding, &name);
        any |= cast.is_some();
        cast.unwrap_or(name)
    };
    let list: Vec<String> = fields.iter().zip(decodings).map(column).collect();
    if !any {
        return query.to_owned();
    }
    let list = list.join(", ");
    if decodings
        .iter()
        .any(|d| matches!(d, Decoding::Composite(_)))
    {
        // The cast of a composite value names the value once per field. OFFSET keeps the server
        // from putting its whole expression, such as a function call, in the place of each name.
        format!("SELECT {list} FROM (SELECT * FROM (\n{query}\n) AS q OFFSET 0) AS q")
    } else {
        format!("SELECT {list} FROM (\n{query}\n) AS q")
    }
}

/// Returns a query for the values that decide the types of columns: all values of a column, or, if
/// only the number of dimensions of its arrays is unknown, those of more than one dimension.
/// `columns` holds each column's name and whether it is such an array column.
pub(crate) fn measuring(query: &str, columns: &[(&str, bool)]) -> String {
    let is_deep = |name: &str| {
        let dimensions = format!("pg_catalog.array_ndims(q.{})", quoted(name));
        format!("{dimensions} {} 1", in_catalog(">"))
    };
    let column = |(name, is_array): &(&str, bool)| {
        let value = quoted(name);
        if *is_array {
            format!("CASE WHEN {} THEN q.{value} END AS {value}", is_deep(name))
        } else {
            format!("q.{value}")
        }
    };
    let list: Vec<String> = columns.iter().map(column).collect();
    let deep: Vec<String> = columns.iter().map(|(name, _)| is_deep(name)).collect();
    let condition = if columns.iter().all(|(_, is_array)| *is_array) {
        format!(" WHERE {}", deep.join(" OR "))
    } else {
        String::new()
    };
    format!(
        "SELECT {} FROM ({}) AS q{condition}",
        list.join(", "),
        evaluated_first(query)
    )
}

/// Returns a query for the rows whose key is at least `lower` and less than `upper`. Without
/// `lower`, the query includes the rows whose key is NULL.
pub(crate) fn range(
    query: &str,
    key: &str,
    key_type: &TypeEntry,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let name = format!("q.{}", quoted(key));
    let is_null = if key_type.is_composite {
        "IS NOT DISTINCT FROM NULL" // `IS NULL` includes rows of NULLs, which compare as rows
    } else {
        "IS NULL"
    };
    let order = &key_type.order;
    let key = order.of(&name);
    let from = |value: &Value| format!("{key} {} {}", order.at_least, cut(value, key_type));
    let to = |value: &Value| format!("{key} {} {}", order.less, cut(value, key_type));
    let condition = match (lower, upper) {
        (None, None) => return query.to_owned(),
        (None, Some(upper)) => format!("{} OR {name} {is_null}", to(upper)),
        (Some(lower), None) => from(lower),
        (Some(lower), Some(upper)) => format!("{} AND {}", from(lower), to(upper)),
    };
    format!("SELECT * FROM (\n{query}\n) AS q WHERE {condition}")
}

/// Writes a cut as a literal of the key's type.
fn cut(value: &Value, key_type: &TypeEntry) -> String {
    match (value, key_type.literal.as_str()) {
        // The cut lies between two integers, or beyond all of them.
        (Value::Decimal(_) | Value::Float(_), "pg_catalog.int8" | "pg_catalog.oid") => {
            literal(value, "pg_catalog.numeric")
        }
        (value, type_name) => literal(value, type_name),
    }
}

/// Asks for each pair of neighbouring cuts whether it rises and whether it falls, compared as
/// [`range`] compares cuts with the key. The cuts get the key's collation from the query, which is
/// joined but not run.
pub(crate) fn rising(query: &str, key: &str, key_type: &TypeEntry, cuts: &[Value]) -> String {
    let pair = |(number, pair): (usize, &[Value])| {
        let pair: Vec<String> = pair.iter().map(|value| cut(value, key_type)).collect();
        format!("({number}, {})", pair.join(", "))
    };
    let pairs: Vec<String> = cuts.windows(2).enumerate().map(pair).collect();
    let (order, key) = (&key_type.order, format!("q.{}", quoted(key)));
    let as_key = |cut: &str| format!("COALESCE({}, c.{cut})", order.of(&key));
    let (low, high, less) = (as_key("low"), as_key("high"), &order.less);
    format!(
        "SELECT {low} {less} {high}, {high} {less} {low} FROM (VALUES {}) AS c (number, low, high) \
         LEFT JOIN (\n{query}\n) AS q ON false ORDER BY c.number",
        pairs.join(", ")
    )
}

/// Returns a query for the rows in a range of the table's blocks. A common table expression
/// replaces the table, so the query must name the table without its schema.
pub(crate) fn blocks(
    query: &str,
    table: &Table,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let first_row = |block: &Value| match block {
        Value::Integer(block) => format!("'({block},0)'::pg_catalog.tid"),
        other => literal(other, "pg_catalog.tid"),
    };
    let compared = |sign, block| format!("ctid {} {}", in_catalog(sign), first_row(block));
    let from = lower.map(|block| compared(">=", block));
    let to = upper.map(|block| compared("<", block));
    let conditions: Vec<String> = from.into_iter().chain(to).collect();
    in_place_of(
        table,
        &format!("WHERE {}", conditions.join(" AND ")),
        &format!("SELECT * FROM (\n{query}\n) AS q"),
    )
}

/// Wraps a query, so that a condition on the wrapped query is tested on its result rows, and not on
/// the rows that these are made of: OFFSET keeps the server from moving the condition down.
pub(crate) fn evaluated_first(query: &str) -> String {
    format!("SELECT * FROM (\n{query}\n) AS q OFFSET 0")
}

/// Number of a block that no table has, and the condition on that block as a plan shows it.
pub(crate) const NO_BLOCK: (i64, &str) = (4_026_531_841, "ctid >= '(4026531841,0)'::tid");

/// Asks whether one of the functions (also those behind an aggregate), or the function of one of
/// the user-defined operators, is volatile: whether it may return another value each time.
///
/// If the key is an expression, user-defined functions that are only stable count too, since they
/// may ask for the time. A plan does not name the functions behind casts. So for such a key, it
/// counts whether any user-defined cast, operator or aggregate has a volatile function.
pub(crate) fn are_volatile(
    functions: &[String],
    operators: &[String],
    of_expression: bool,
) -> String {
    let list = |names: &[String]| {
        let name = |name: &String| format!("'{}'", name.replace('\'', "''"));
        let mut names: Vec<String> = names.iter().map(name).collect();
        names.push("''".to_owned()); // a list must not be empty
        names.join(", ")
    };
    let (functions, operators) = (list(functions), list(operators));
    let stable = if of_expression {
        " OR provolatile = 's' AND pronamespace <> 'pg_catalog'::pg_catalog.regnamespace"
    } else {
        ""
    };
    // For an expression, all user-defined operators and aggregates count.
    let (named, signed) = if of_expression {
        (String::new(), String::new())
    } else {
        (
            format!(" AND n.proname IN ({functions})"),
            format!(" AND oprname IN ({operators})"),
        )
    };
    let casts = if of_expression {
        "UNION ALL SELECT castfunc FROM pg_catalog.pg_cast WHERE oid >= 16384 "
    } else {
        ""
    };
    format!(
        "SELECT 1 FROM pg_catalog.pg_proc WHERE proname IN ({functions}) AND (provolatile = 'v'{stable}) \
         UNION ALL SELECT 1 FROM pg_catalog.pg_proc AS p JOIN ( \
         SELECT oprcode::pg_catalog.oid AS f FROM pg_catalog.pg_operator WHERE oid >= 16384{signed} {casts}\
         UNION ALL SELECT unnest(ARRAY[a.aggtransfn, a.aggfinalfn]::pg_catalog.oid[]) \
         FROM pg_catalog.pg_aggregate AS a JOIN pg_catalog.pg_proc AS n ON n.oid = a.aggfnoid \
         WHERE a.aggfnoid >= 16384{named}) AS used ON p.oid = used.f \
         WHERE p.provolatile = 'v' LIMIT 1"
    )
}

/// Returns a statement in which a table's name stands for some of its rows.
fn in_place_of(table: &Table, rows: &str, statement: &str) -> String {
    let (schema, name) = (quoted(&table.schema), quoted(&table.name));
    format!("WITH {name} AS (SELECT * FROM {schema}.{name} {rows}) {statement}")
}

/// Asks for the plan of a query with a condition on some of its columns.
pub(crate) fn probe(query: &str, columns: &[&str]) -> String {
    let test = |column: &&str| {
        format!(
            "q.{}::pg_catalog.text {} '{PROBE}'",
            quoted(column),
            in_catalog("<>")
        )
    };
    let tests: Vec<String> = columns.iter().map(test).collect();
    explain(&format!(
        "SELECT * FROM (\n{query}\n) AS q WHERE {}",
        tests.join(" AND ")
    ))
}

/// Asks for the plan of a query, which is not run.
pub(crate) fn explain(query: &str) -> String {
    format!("EXPLAIN (VERBOSE, FORMAT JSON) {query}")
}

/// Asks for a table's name and kind, and for the sizes of the table and of all its partitions and
/// children, in blocks.
pub(crate) fn table(oid: u32) -> String {
    format!(
        "WITH RECURSIVE part (oid) AS (SELECT {oid}::pg_catalog.oid UNION ALL SELECT i.inhrelid \
         FROM part JOIN pg_catalog.pg_inherits AS i ON i.inhparent = part.oid) \
         SELECT n.nspname, c.relname, c.relkind, c.relpersistence, coalesce(pg_catalog.pg_relation_size(part.oid), 0) \
         / pg_catalog.current_setting('block_size')::pg_catalog.int8 \
         FROM part, pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = {oid}"
    )
}

/// Finds the operator family that orders the values of a type `t`, and the type that the values are
/// compared as. That type's name is NULL if it is `t` itself or a pseudo-type such as `anyarray`.
/// As in the server, a type without a default operator class has that of a type to which it is
/// binary-coercible, as `varchar` has that of `text`.
/// <https://github.com/postgres/postgres/blob/master/src/backend/commands/indexcmds.c>,
/// `GetDefaultOpClass`
const ORDERED_AS: &str = "SELECT c.opcfamily AS family, i.oid, \
     CASE WHEN i.oid <> t.oid AND i.typtype <> 'p' THEN \
     pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(i.typname) END AS name \
     FROM pg_catalog.pg_opclass AS c JOIN pg_catalog.pg_am AS a ON a.oid = c.opcmethod \
     JOIN pg_catalog.pg_type AS i ON i.oid = c.opcintype JOIN pg_catalog.pg_namespace AS s ON s.oid = i.typnamespace \
     WHERE a.amname = 'btree' AND c.opcdefault AND (i.oid = t.oid OR CASE i.oid \
     WHEN 2277 /* anyarray */ THEN t.typelem <> 0 AND t.typlen = -1 \
     WHEN 3500 /* anyenum */ THEN t.typtype = 'e' WHEN 3831 /* anyrange */ THEN t.typtype = 'r' \
     WHEN 4537 /* anymultirange */ THEN t.typtype = 'm' WHEN 2249 /* record */ THEN t.typtype = 'c' \
     ELSE EXISTS (SELECT 1 FROM pg_catalog.pg_cast AS x WHERE x.castsource = t.oid AND x.casttarget = i.oid \
     AND x.castmethod = 'b' AND x.castcontext = 'i') END) \
     ORDER BY i.oid = t.oid DESC, i.typispreferred AND i.typcategory = t.typcategory DESC LIMIT 1";

/// Asks for the catalog's data of types: names, kinds, elements, base types and fields, the
/// operators that order their values, and the output function, if a cast to text uses another
/// function.
pub(crate) fn types(oids: &[u32]) -> String {
    let list: Vec<String> = oids.iter().map(u32::to_string).collect();
    let operator = |strategy: u8| {
        format!(
            "(SELECT 'OPERATOR(' || pg_catalog.quote_ident(s.nspname) || '.' || p.oprname || ')' \
             FROM pg_catalog.pg_amop AS m JOIN pg_catalog.pg_operator AS p ON p.oid = m.amopopr \
             JOIN pg_catalog.pg_namespace AS s ON s.oid = p.oprnamespace WHERE m.amopfamily = o.family \
             AND m.amoplefttype = o.oid AND m.amoprighttype = o.oid AND m.amoppurpose = 's' \
             AND m.amopstrategy = {strategy})"
        )
    };
    let (less, at_least) = (operator(1), operator(4));
    format!(
        "SELECT t.oid, pg_catalog.format_type(t.oid, NULL), \
         pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname), t.typtype, \
         t.typname = 'vector' AND EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d \
         JOIN pg_catalog.pg_extension AS x ON x.oid = d.refobjid \
         WHERE d.objid = t.oid AND d.deptype = 'e' AND x.extname = 'vector'), \
         (SELECT e.oid FROM pg_catalog.pg_type AS e WHERE e.typarray = t.oid), t.typbasetype, t.typtypmod, \
         (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.atttypid::pg_catalog.int8, \
         a.atttypmod) ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a \
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), o.name, {less}, {at_least}, \
         (SELECT pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(p.proname) \
         FROM pg_catalog.pg_cast AS x JOIN pg_catalog.pg_proc AS p ON p.oid = t.typoutput \
         JOIN pg_catalog.pg_namespace AS s ON s.oid = p.pronamespace \
         WHERE x.castsource = t.oid AND x.casttarget = 25 /* text */ AND x.castmethod <> 'i') \
         FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace \
         LEFT JOIN LATERAL ({ORDERED_AS}) AS o ON true WHERE t.oid IN ({})",
        list.join(", ")
    )
}

/// Returns a query for the keys of some of the table's rows and the number of rows of each key,
/// NULL first. It is cheap, since the server reads only the blocks of these rows.
pub(crate) fn keys_of_some_rows(
    query: &str,
    key: &str,
    table: &Table,
    spread: &Spread,
    limit: usize,
) -> String {
    let Spread {
        first, last, step, ..
    } = spread;
    let places: Vec<String> = spread.places.iter().map(u64::to_string).collect();
    let places = places.join(",");
    let (equal, and) = (in_catalog("="), in_catalog("||"));
    let rows = format!(
        "WHERE ctid {equal} ANY (ARRAY(SELECT ('(' {and} block {and} ',' {and} place {and} ')')::pg_catalog.tid \
         FROM pg_catalog.generate_series({first}, {last}, {step}) AS block, \
         pg_catalog.unnest('{{{places}}}'::pg_catalog.int8[]) AS place))"
    );
    in_place_of(table, &rows, &keys(query, key, 1.0, limit))
}

/// Returns a query for all rows of a table.
pub(crate) fn all_of(table: &Table) -> String {
    format!(
        "SELECT * FROM {}.{}",
        quoted(&table.schema),
        quoted(&table.name)
    )
}

/// Returns a query for the keys of a share of the query's rows and the number of rows of each key,
/// NULL first.
pub(crate) fn keys(query: &str, key: &str, share: f64, limit: usize) -> String {
    let key = quoted(key);
    format!(
        "SELECT q.{key}, pg_catalog.count(*) FROM (\n{query}\n) AS q{} \
         GROUP BY 1 ORDER BY 1 NULLS FIRST LIMIT {limit}",
        some(share)
    )
}

fn some(share: f64) -> String {
    if share < 1.0 {
        format!(" WHERE pg_catalog.random() {} {share:?}", in_catalog("<"))
    } else {
        String::new()
    }
}

/// Writes a value as a literal, in the text form that the type's input function reads.
fn literal(value: &Value, type_name: &str) -> String {
    let text = parameters::text(value).unwrap_or_default(); // a cut is never NULL
    let text = text.replace('\'', "''");
    if text.contains('\\') {
        // This form reads the same whatever standard_conforming_strings says.
        format!("E'{}'::{type_name}", text.replace('\\', "\\\\"))
    } else {
        format!("'{text}'::{type_name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::built_in;
    use industrydb_core::ColumnType;

    fn field(name: &str) -> Field {
        Field::new(name, "", ColumnType::Int64)
    }

    #[test]
    fn types_without_a_decoder_are_cast_in_the_select_list() {
        assert_eq!(
            with_casts(
                "SELECT a, b FROM t",
                &[field("a"), field("B \"x\"")],
                &[Decoding::Int4, Decoding::printed()],
            ),
            "SELECT \"a\", \"B \"\"x\"\"\"::pg_catalog.text FROM (\nSELECT a, b FROM t\n) AS q"
        );
        let fields = [field("a")];
        assert_eq!(with_casts("TABLE t", &fields, &[Decoding::Int4]), "TABLE t");
    }

    #[test]
    fn partitions_are_open_at_both_ends_and_the_first_takes_the_nulls() {
        let (low, high) = (Value::Integer(i64::MIN), Value::Integer(7));
        let between = Value::Decimal("0.5".to_owned());
        let int8 = built_in(23, -1).expect("int4");
        for (lower, upper, condition) in [
            (
                None,
                Some(&low),
                "q.\"id\" OPERATOR(pg_catalog.<) '-9223372036854775808'::pg_catalog.int8 OR q.\"id\" IS NULL",
            ),
            (
                Some(&low),
                Some(&high),
                "q.\"id\" OPERATOR(pg_catalog.>=) '-9223372036854775808'::pg_catalog.int8 \
                 AND q.\"id\" OPERATOR(pg_catalog.<) '7'::pg_catalog.int8",
            ),
            (
                Some(&between),
                None,
                "q.\"id\" OPERATOR(pg_catalog.>=) '0.5'::pg_catalog.numeric",
            ),
        ] {
            assert_eq!(
                range("TABLE t", "id", &int8, lower, upper),
                format!("SELECT * FROM (\nTABLE t\n) AS q WHERE {condition}")
            );
        }
        assert_eq!(range("TABLE t", "id", &int8, None, None), "TABLE t");
    }

    #[test]
    fn literals_read_as_they_were_printed() {
        for (text, expected) in [("it's", "'it''s'::text"), ("\\x00'", "E'\\\\x00'''::text")] {
            assert_eq!(literal(&Value::Text(text.to_owned()), "text"), expected);
        }
    }
}
