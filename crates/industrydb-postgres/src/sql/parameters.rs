//! Parameters: sent as text, in the form that the input functions of their types read. The server
//! finds out the types and reads the texts; they are never part of a statement.

use std::fmt::Write;

use industrydb_core::{Error, Parameters, Result, Value};

/// Largest number of parameters: the protocol has two bytes for it.
const MOST_PARAMETERS: usize = 65_535;

/// Returns the values as text, in the order of `$1`, `$2`, …; `None` is NULL.
pub(crate) fn texts(parameters: &Parameters) -> Result<Vec<Option<String>>> {
    match parameters {
        Parameters::Positional(values) if values.len() > MOST_PARAMETERS => {
            Err(Error::configuration(format!(
                "PostgreSQL takes at most {MOST_PARAMETERS} parameters, and there are {}: an array is one",
                values.len()
            )))
        }
        Parameters::Positional(values) => Ok(values.iter().map(text).collect()),
        Parameters::Named(_) => Err(Error::configuration(
            "PostgreSQL's parameters are numbered ($1, $2, …): pass their values as a list",
        )),
    }
}

/// Returns whether each value is a list.
pub(crate) fn lists(parameters: &Parameters) -> Vec<bool> {
    let Parameters::Positional(values) = parameters else {
        return Vec::new();
    };
    let is_list = |value: &Value| matches!(value, Value::List(_));
    values.iter().map(is_list).collect()
}

/// Returns a value as PostgreSQL's input functions read it; `None` is NULL.
pub(crate) fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => float(*value),
        Value::Decimal(text) | Value::Text(text) | Value::Temporal(text) => text.clone(),
        Value::Bytes(bytes) => {
            bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
                hex
            })
        }
        Value::Duration { microseconds } => {
            // A single field of the input is limited to 32 bits in some versions.
            let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
            format!("{seconds} seconds {rest} microseconds")
        }
        Value::List(values) => {
            let elements: Vec<String> = values.iter().map(element).collect();
            format!("{{{}}}", elements.join(","))
        }
    })
}

/// Writes an element of an array: <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>
fn element(value: &Value) -> String {
    match (value, text(value)) {
        (Value::List(_), Some(nested)) => nested,
        (_, Some(text)) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        (_, None) => "NULL".to_owned(),
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{value:?}") // the shortest text that reads as the same number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_what_input_functions_read() {
        for (value, expected) in [
            (Value::Boolean(true), "true"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(f64::NEG_INFINITY), "-Infinity"),
            (Value::Text("o'\\".to_owned()), "o'\\"),
            (Value::Bytes(vec![0, 255]), "\\x00ff"),
            (
                Value::Duration {
                    microseconds: -1_500_000,
                },
                "-1 seconds -500000 microseconds",
            ),
            (
                Value::List(vec![
                    Value::Null,
                    Value::Text("a\"\\,}".to_owned()),
                    Value::List(vec![Value::Integer(1)]),
                ]),
                r#"{NULL,"a\"\\,}",{"1"}}"#,
            ),
        ] {
            assert_eq!(text(&value).as_deref(), Some(expected));
        }
        assert_eq!(text(&Value::Null), None);
    }
}
