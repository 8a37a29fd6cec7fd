//! The expressions by which the server converts values to types that have a decoder.

use super::dialect::quoted;
use crate::types::order::type_in_catalog;
use crate::types::{Cast, Decoding};

/// Returns whether the server must convert the values.
pub(crate) fn is_cast(decoding: &Decoding) -> bool {
    cast(decoding, "").is_some()
}

/// Returns the expression that replaces a value in the SELECT list; `None` if the value is sent as
/// it is.
pub(crate) fn cast(decoding: &Decoding, value: &str) -> Option<String> {
    match decoding {
        Decoding::Cast(cast, _) => Some(expression(cast, value)),
        Decoding::Converted(decoding, _) => cast(decoding, value),
        Decoding::Composite(fields) => {
            let mut any = false;
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, field)| {
                    let plain = format!("({value}).{}", quoted(name));
                    let expression = cast(field, &plain);
                    any |= expression.is_some();
                    expression.unwrap_or(plain)
                })
                .collect();
            // A row of NULLs is not NULL, although `IS NULL` is true for it.
            let row = fields.join(", ");
            any.then(|| format!("CASE WHEN {value} IS DISTINCT FROM NULL THEN ROW({row}) END"))
        }
        _ => None,
    }
}

fn expression(cast: &Cast, value: &str) -> String {
    match cast {
        Cast::To(name) => format!("{value}::{}", type_in_catalog(name)),
        Cast::Printed(output) => format!("pg_catalog.textin({output}({value}))"),
        Cast::PrintedList => format!(
            "pg_catalog.textin(pg_catalog.array_out({value}))::{}",
            type_in_catalog("text[]")
        ),
    }
}
