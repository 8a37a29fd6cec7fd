//! Passes parameters as typed arguments of `sp_executesql`, never as part of a statement.

use industrydb_core::calendar::{DAYS_0001_TO_1970, NANOSECONDS_PER_SECOND, SECONDS_PER_DAY};
use industrydb_core::{Error, Parameters, Result, Value, iso};
use mssql_tds::datatypes::column_values::{SqlDate, SqlDateTime2, SqlDateTimeOffset, SqlTime};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};

use crate::types::calendar::NANOSECONDS_PER_TICK;
use crate::types::decimal::{self, Plain};

/// Longest text, in bytes, that is not sent as a large value.
const MAX_SHORT_BYTES: usize = 8000;

/// Converts parameters to named arguments: `@p1`, `@p2`, … for positional ones.
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

/// Returns the declarations of the same parameters for `sp_describe_first_result_set`.
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
        Value::Decimal(text) => match decimal::plain(text) {
            Some(Plain {
                precision, scale, ..
            }) => format!("decimal({precision},{scale})"),
            None => "decimal".to_owned(), // refused by `typed`
        },
        Value::Temporal(text) => match temporal(text) {
            Some(SqlType::Date(_)) => "date",
            Some(SqlType::Time(_)) => "time(7)",
            Some(SqlType::DateTimeOffset(_)) => "datetimeoffset(7)",
            _ => "datetime2(7)",
        }
        .to_owned(),
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
            let number = decimal::plain(text).ok_or("it has no numbers of more than 38 digits")?;
            let parts = DecimalParts::from_string(&number.text, number.precision, number.scale);
            SqlType::Decimal(Some(parts.map_err(|error| error.to_string())?))
        }
        Value::Text(text) => {
            let string = SqlString::from_utf8_string(text.clone());
            match u16::try_from(string.bytes.len() / 2) {
                Ok(length) if string.bytes.len() <= MAX_SHORT_BYTES => {
                    SqlType::NVarchar(Some(string), length.max(1))
                }
                _ => SqlType::NVarcharMax(Some(string)),
            }
        }
        Value::Temporal(text) => temporal(text).ok_or("it has no such time")?,
        Value::Bytes(bytes) => SqlType::VarBinaryMax(Some(bytes.clone())),
        Value::Duration { .. } => {
            return Err(
                "it has no lengths of time: pass a number of seconds, for example".to_owned(),
            );
        }
        Value::List(_) => return Err("it has no arrays: pass one parameter per element".to_owned()),
    })
}

/// Converts ISO text to a date, a time or both. SQL Server would read the text itself by the
/// login's language.
fn temporal(text: &str) -> Option<SqlType> {
    let bytes = text.as_bytes();
    if let Some(days) = iso::date(bytes) {
        let days = u32::try_from(i64::from(days) + i64::from(DAYS_0001_TO_1970)).ok()?;
        return Some(SqlType::Date(Some(SqlDate::create(days).ok()?)));
    }
    if let Some(nanoseconds) = iso::time(bytes) {
        return Some(SqlType::Time(Some(time(nanoseconds)?)));
    }
    let (seconds, nanoseconds) = iso::datetime(bytes)?;
    let days = seconds.div_euclid(SECONDS_PER_DAY) + i64::from(DAYS_0001_TO_1970);
    let days = u32::try_from(days).ok()?;
    let in_day =
        seconds.rem_euclid(SECONDS_PER_DAY) * NANOSECONDS_PER_SECOND + i64::from(nanoseconds);
    let moment = SqlDateTime2 {
        days,
        time: time(in_day)?,
    };
    Some(match offset(text) {
        None => SqlType::DateTime2(Some(moment)),
        Some(offset) => SqlType::DateTimeOffset(Some(SqlDateTimeOffset {
            datetime2: moment,
            offset,
        })),
    })
}

/// Converts nanoseconds of the day to ticks, the unit of the driver's field `time_nanoseconds`
/// despite its name.
fn time(nanoseconds: i64) -> Option<SqlTime> {
    Some(SqlTime {
        time_nanoseconds: u64::try_from(nanoseconds).ok()? / NANOSECONDS_PER_TICK.cast_unsigned(),
        scale: 7,
    })
}

/// Returns the offset in minutes of the zone at the end of a text.
fn offset(text: &str) -> Option<i16> {
    let clock = text.get(11..)?; // after the date
    if clock.ends_with('Z') {
        return Some(0);
    }
    let sign = clock.rfind(['+', '-'])?;
    let (hours, minutes) = clock[sign + 1..].split_once(':')?;
    // SQL Server's zones have whole minutes. The seconds of an offset are cut off, which does not
    // change the point in time.
    let minutes = minutes.split(':').next()?;
    let (hours, minutes): (i16, i16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minutes = 60 * hours + minutes;
    Some(if clock.as_bytes()[sign] == b'-' {
        -minutes
    } else {
        minutes
    })
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
        let temporal = |text: &str| declaration(&Value::Temporal(text.to_owned()));
        assert_eq!(temporal("2024-02-03"), "date");
        assert_eq!(temporal("04:05:06.5"), "time(7)");
        assert_eq!(temporal("2024-02-03 04:05:06"), "datetime2(7)");
        assert_eq!(temporal("2024-02-03 04:05:06-03:30"), "datetimeoffset(7)");
        assert_eq!(offset("2024-02-03 04:05:06-03:30"), Some(-210));
        assert_eq!(offset("2024-02-03 04:05:06+05:45:30"), Some(345));
        assert_eq!(offset("2024-02-03 04:05:06"), None);
        let named = Parameters::Named(vec![("since".to_owned(), Value::Boolean(true))]);
        assert_eq!(declarations(&named), "@since bit");
        assert!(bound(&Parameters::Positional(vec![Value::Float(f64::NAN)])).is_err());
    }
}
