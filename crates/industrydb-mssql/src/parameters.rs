//! How parameters travel: as the typed arguments of `sp_executesql`, never as part of a statement.

use industrydb_core::{Error, Parameters, Result, Value};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};

/// The most bytes of a text or of bytes that are not sent as a large value.
const MAX_SHORT_BYTES: usize = 8000;

/// The values, by their names: `@p1`, `@p2`, … for those of a list.
pub(crate) fn bound(parameters: &Parameters) -> Result<Vec<RpcParameter>> {
    named(parameters)
        .into_iter()
        .map(|(name, value)| {
            let value = typed(value).map_err(|why| {
                Error::configuration(format!("{name} cannot be passed to SQL Server: {why}"))
            })?;
            Ok(RpcParameter::new(Some(name), StatusFlags::NONE, value))
        })
        .collect()
}

/// The declarations of the same parameters, as `sp_describe_first_result_set` takes them.
pub(crate) fn declarations(parameters: &Parameters) -> String {
    let declared = named(parameters)
        .into_iter()
        .map(|(name, value)| format!("{name} {}", declaration(value)));
    declared.collect::<Vec<_>>().join(", ")
}

fn named(parameters: &Parameters) -> Vec<(String, &Value)> {
    match parameters {
        Parameters::Positional(values) => (1..)
            .zip(values)
            .map(|(number, value)| (format!("@p{number}"), value))
            .collect(),
        Parameters::Named(values) => values
            .iter()
            .map(|(name, value)| (format!("@{}", name.trim_start_matches('@')), value))
            .collect(),
    }
}

fn declaration(value: &Value) -> String {
    match value {
        Value::Boolean(_) => "bit".to_owned(),
        Value::Integer(_) => "bigint".to_owned(),
        Value::Float(_) => "float".to_owned(),
        Value::Decimal(text) => {
            let (precision, scale) = digits(text);
            format!("decimal({precision},{scale})")
        }
        Value::Bytes(_) => "varbinary(max)".to_owned(),
        _ => "nvarchar(max)".to_owned(),
    }
}

fn typed(value: &Value) -> Result<SqlType, String> {
    Ok(match value {
        Value::Null => SqlType::NVarchar(None, 1),
        Value::Boolean(value) => SqlType::Bit(Some(*value)),
        Value::Integer(value) => SqlType::BigInt(Some(*value)),
        Value::Float(value) if value.is_finite() => SqlType::Float(Some(*value)),
        Value::Float(_) => return Err("it has neither NaN nor infinities".to_owned()),
        Value::Decimal(text) => {
            let (precision, scale) = digits(text);
            if precision > 38 {
                return Err("it has no numbers of more than 38 digits".to_owned());
            }
            let parts = DecimalParts::from_string(text, precision, scale);
            SqlType::Decimal(Some(parts.map_err(|error| error.to_string())?))
        }
        Value::Text(text) | Value::Temporal(text) => {
            let string = SqlString::from_utf8_string(text.clone());
            match u16::try_from(string.bytes.len() / 2) {
                Ok(length) if string.bytes.len() <= MAX_SHORT_BYTES => {
                    SqlType::NVarchar(Some(string), length.max(1))
                }
                _ => SqlType::NVarcharMax(Some(string)),
            }
        }
        Value::Bytes(bytes) => SqlType::VarBinaryMax(Some(bytes.clone())),
        Value::Duration { .. } => {
            return Err(
                "it has no lengths of time: pass a number of seconds, for example".to_owned(),
            );
        }
        Value::List(_) => return Err("it has no arrays: pass one parameter per element".to_owned()),
    })
}

/// Precision and scale of a number in plain digits.
fn digits(text: &str) -> (u8, u8) {
    let digits = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = u8::try_from(fraction.len()).unwrap_or(u8::MAX);
    let whole = u8::try_from(whole.trim_start_matches('0').len()).unwrap_or(u8::MAX);
    (whole.saturating_add(scale).max(1), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_names_and_types() {
        let values = vec![
            Value::Integer(1),
            Value::Decimal("-00.50".to_owned()),
            Value::Text("a".to_owned()),
        ];
        assert_eq!(
            declarations(&Parameters::Positional(values)),
            "@p1 bigint, @p2 decimal(2,2), @p3 nvarchar(max)"
        );
        let named = Parameters::Named(vec![("since".to_owned(), Value::Boolean(true))]);
        assert_eq!(declarations(&named), "@since bit");
        assert!(bound(&Parameters::Positional(vec![Value::Float(f64::NAN)])).is_err());
    }
}
