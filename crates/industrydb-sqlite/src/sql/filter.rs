//! Which tests SQLite makes as they are meant, and how it is asked.

use industrydb_core::narrow::{Bind, Comparison, Kept, Place, Test, Written};
use industrydb_core::{Field, Value};

use crate::sql::dialect::column;
use crate::types::Declared;

/// Writes a test of a column of the query `q`. What is not stored in a column of the declared type
/// may be of any, and is compared by other rules.
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
                // An index serves this one; the column's collation may take different texts for
                // equal.
                (true, Comparison::Equal) => (format!("{name} = {value}"), Kept::More),
                (true, Comparison::Unequal) => {
                    (format!("{name} COLLATE BINARY <> {value}"), Kept::Same)
                }
                // In UTF-16, the order of the bytes is not that of the characters.
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
        // Dates are stored in several forms.
        Test::Part(..) => return None,
    };
    Some((sql, kept))
}

/// Whether the value is a text; nothing where a comparison with it is not one of values.
fn accepted(declared: Declared, value: &Value) -> Option<bool> {
    match (declared, value) {
        (Declared::Integer, Value::Integer(_)) => Some(false),
        (Declared::Real, Value::Float(value)) if value.is_finite() => Some(false),
        (Declared::Text, Value::Text(_)) => Some(true),
        _ => None,
    }
}
