//! Filter predicates in SQLite's SQL, if SQLite evaluates them with the same meaning.

use industrydb_core::narrow::{Bind, Comparison, Kept, Place, Test, Written};
use industrydb_core::{Field, Value};

use crate::sql::dialect::column;
use crate::types::Declared;

/// Writes a predicate on one column of the derived table `q`; `None` if SQLite would not evaluate
/// the predicate with the same meaning. Values that are not stored in a column of the declared type
/// may have any type, and are compared by other rules.
pub(crate) fn written(
    field: &Field,
    declared: Declared,
    is_stored: bool,
    test: &Test,
    bind: Bind,
) -> Option<Written> {
    let name = column(&field.name);
    let (sql, kept) = match test {
        _ if !is_stored => return None,
        Test::IsNull => (format!("{name} IS NULL"), Kept::Same),
        _ if field.is_converted() => return None,
        Test::Compare(comparison, value) => {
            let is_text = accepted(declared, value)?;
            let (sign, value) = (comparison.sign(), bind(value.clone()));
            match (is_text, comparison) {
                // An index can serve `=`. The column's collation may treat different strings as
                // equal, so that more rows pass.
                (true, Comparison::Equal) => (format!("{name} = {value}"), Kept::More),
                (true, Comparison::Unequal) => {
                    (format!("{name} COLLATE BINARY <> {value}"), Kept::Same)
                }
                // In UTF-16, byte order differs from character order.
                (true, _) => return None,
                (false, _) => (format!("{name} {sign} {value}"), Kept::Same),
            }
        }
        Test::In(values) => {
            let types = values.iter().map(|value| accepted(declared, value));
            let are_texts = types.collect::<Option<Vec<bool>>>()?.contains(&true);
            let values: Vec<String> = values.iter().map(|value| bind(value.clone())).collect();
            let sql = format!("{name} IN ({})", values.join(", "));
            (sql, if are_texts { Kept::More } else { Kept::Same })
        }
        Test::Contains(place, part) => {
            let part = Value::Text(part.clone());
            accepted(declared, &part)?;
            let part = bind(part);
            match place {
                Place::Start => (format!("instr({name}, {part}) = 1"), Kept::Same),
                Place::End => (format!("instr({name}, {part}) > 0"), Kept::More),
                Place::Anywhere => (format!("instr({name}, {part}) > 0"), Kept::Same),
            }
        }
        // Dates are stored in several formats.
        Test::Part(..) => return None,
    };
    Some((sql, kept))
}

/// Returns whether the value is text; `None` if SQLite might not compare a column of the declared
/// type with this value by plain value.
fn accepted(declared: Declared, value: &Value) -> Option<bool> {
    match (declared, value) {
        (Declared::Integer, Value::Integer(_)) => Some(false),
        (Declared::Real, Value::Float(value)) if value.is_finite() => Some(false),
        (Declared::Text, Value::Text(_)) => Some(true),
        _ => None,
    }
}
