//! Parameters of prepared statements.

use industrydb_core::calendar::SECONDS_PER_DAY;
use industrydb_core::{Error, Parameters, Result, Value, iso};

use crate::types::described::kind;

/// Bit of a parameter's type for an integer without sign.
const UNSIGNED: u8 = 0x80;

/// The value of one parameter, as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    kind: u8,
    sign: u8,
    /// The bytes of the value; `None` is NULL.
    bytes: Option<Vec<u8>>,
}

impl Parameter {
    pub(crate) fn new(value: &Value) -> Result<Self> {
        let fixed = |kind, bytes: &[u8]| Self {
            kind,
            sign: 0,
            bytes: Some(bytes.to_vec()),
        };
        let text = |kind, bytes: &[u8]| Self {
            kind,
            sign: 0,
            bytes: Some(with_length(bytes)),
        };
        Ok(match value {
            Value::Null => Self {
                kind: kind::NULL,
                sign: 0,
                bytes: None,
            },
            Value::Boolean(value) => fixed(kind::TINY, &[u8::from(*value)]),
            Value::Integer(value) => fixed(kind::LONGLONG, &value.to_le_bytes()),
            Value::Decimal(digits) => match digits.parse::<u64>() {
                // The server compares a number as a decimal more slowly than as an integer.
                Ok(value) => Self {
                    kind: kind::LONGLONG,
                    sign: UNSIGNED,
                    bytes: Some(value.to_le_bytes().to_vec()),
                },
                Err(_) => text(kind::NEWDECIMAL, exact(digits)?.as_bytes()),
            },
            Value::Float(value) if !value.is_finite() => {
                return Err(Error::configuration(format!(
                    "MySQL has no float {value}, which is among the params"
                )));
            }
            Value::Float(value) => fixed(kind::DOUBLE, &value.to_le_bytes()),
            Value::Text(value) => text(kind::VAR_STRING, value.as_bytes()),
            Value::Bytes(value) => text(kind::BLOB, value),
            Value::Temporal(value) => temporal(value)?,
            Value::Duration { microseconds } => {
                let time = time(i128::from(*microseconds));
                fixed(kind::TIME, &time.ok_or_else(|| too_long(*microseconds))?)
            }
            Value::List(_) => {
                return Err(Error::configuration(
                    "MySQL has no arrays, and a list is among the params: give each element a parameter of its own",
                ));
            }
        })
    }

    pub(crate) fn is_null(&self) -> bool {
        self.bytes.is_none()
    }

    pub(crate) fn type_code(&self) -> [u8; 2] {
        [self.kind, self.sign]
    }

    /// Appends the bytes of the value, none for NULL.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Some(bytes) = &self.bytes {
            out.extend_from_slice(bytes);
        }
    }
}

/// Returns a decimal's text; an error for one that the server would take for another number.
fn exact(text: &str) -> Result<&str> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let unsigned = number.trim_start_matches(['-', '+']);
    let (whole, behind) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_number =
        !unsigned.is_empty() && [whole, behind].concat().bytes().all(|b| b.is_ascii_digit());
    let exponent: i64 = exponent.parse().ok().filter(|_| is_number).ok_or_else(|| {
        Error::configuration(format!(
            "MySQL has no number {text}, which is among the params"
        ))
    })?;
    // The digits in front of the point and behind it, once the exponent has moved the point.
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let leading = length(whole) - length(whole.trim_start_matches('0'));
    let front = (length(whole) - leading).saturating_add(exponent).max(0);
    let back = length(behind.trim_end_matches('0'))
        .saturating_sub(exponent)
        .max(0);
    if front.saturating_add(back) <= DIGITS && back <= DIGITS_BEHIND {
        return Ok(text);
    }
    Err(Error::configuration(format!(
        "the number {text} among the params has more digits than MySQL's decimals, which have up to {DIGITS}, and \
         {DIGITS_BEHIND} of them behind the point: pass a text, or round it"
    )))
}

/// Most digits of a decimal, and of those behind its point.
const DIGITS: i64 = 65;
const DIGITS_BEHIND: i64 = 30;

/// Encodes the values of parameters, which have positions and no names.
pub(crate) fn bound(parameters: &Parameters) -> Result<Vec<Parameter>> {
    match parameters {
        Parameters::Positional(values) => values.iter().map(Parameter::new).collect(),
        Parameters::Named(values) if values.is_empty() => Ok(Vec::new()),
        Parameters::Named(_) => Err(Error::configuration(
            "MySQL's parameters have positions and no names: write ? for each, and pass a list",
        )),
    }
}

/// Encodes a date, a time, or both, as ISO 8601 writes it; a zone's offset is subtracted.
fn temporal(text: &str) -> Result<Parameter> {
    let of = |kind, bytes: Vec<u8>| Parameter {
        kind,
        sign: 0,
        bytes: Some(bytes),
    };
    let bytes = text.as_bytes();
    if let Some(nanoseconds) = iso::time(bytes) {
        if nanoseconds % 1000 != 0 {
            return Err(too_fine(text));
        }
        let bytes = time(i128::from(nanoseconds / 1000));
        return Ok(of(kind::TIME, bytes.unwrap_or_default()));
    }
    let (seconds, nanoseconds) = iso::datetime(bytes)
        .ok_or_else(|| Error::configuration(format!("{text:?} is no date or time of ISO 8601")))?;
    if nanoseconds % 1000 != 0 {
        return Err(too_fine(text));
    }
    let day = i32::try_from(seconds.div_euclid(SECONDS_PER_DAY)).unwrap_or_default();
    let mut date = String::new();
    let written = iso::write_date(day, &mut date);
    let mut parts = date.splitn(3, '-').map(str::parse::<u16>);
    let (Some(()), Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) =
        (written, parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::configuration(format!(
            "{text:?} is beyond the years of MySQL, 0 to 9999"
        )));
    };
    let [low, high] = year.to_le_bytes();
    let small = |number: u16| u8::try_from(number).unwrap_or_default();
    let mut bytes = vec![4, low, high, small(month), small(day)];
    if iso::date(text.as_bytes()).is_some() {
        return Ok(of(kind::DATE, bytes));
    }
    bytes[0] = 11;
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    for part in [second / 3600, second / 60 % 60, second % 60] {
        bytes.push(u8::try_from(part).unwrap_or_default());
    }
    bytes.extend_from_slice(&(nanoseconds / 1000).to_le_bytes());
    Ok(of(kind::DATETIME, bytes))
}

/// Encodes a time of this many microseconds; `None` if it has more days than fit.
fn time(microseconds: i128) -> Option<Vec<u8>> {
    let size = microseconds.unsigned_abs();
    let seconds = u64::try_from(size / 1_000_000).ok()?;
    let seconds_per_day = SECONDS_PER_DAY.unsigned_abs();
    let days = u32::try_from(seconds / seconds_per_day).ok()?;
    let fraction = u32::try_from(size % 1_000_000).ok()?;
    let mut bytes = vec![12, u8::from(microseconds < 0)];
    bytes.extend_from_slice(&days.to_le_bytes());
    let second = seconds % seconds_per_day;
    for part in [second / 3600, second / 60 % 60, second % 60] {
        bytes.push(u8::try_from(part).ok()?);
    }
    bytes.extend_from_slice(&fraction.to_le_bytes());
    // The server would cut off what is longer than its longest time, 838:59:59.999999.
    (seconds < 839 * 3600).then_some(bytes)
}

fn too_long(microseconds: i64) -> Error {
    Error::configuration(format!(
        "MySQL's times end at 838:59:59, and a duration of {} s is among the params",
        microseconds / 1_000_000
    ))
}

fn too_fine(text: &str) -> Error {
    Error::configuration(format!(
        "{text:?} is finer than a microsecond, MySQL's smallest unit of time"
    ))
}

/// Returns bytes with their length in front.
pub(crate) fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 9);
    push_length(bytes.len(), &mut out);
    out.extend_from_slice(bytes);
    out
}

/// Appends the length of what follows.
pub(crate) fn push_length(count: usize, out: &mut Vec<u8>) {
    let length = (count as u64).to_le_bytes();
    match count {
        0..=0xfa => out.push(length[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&length[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&length[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_sent_by_their_parts() {
        for (text, kind, bytes) in [
            ("2024-02-29", kind::DATE, &b"\x04\xe8\x07\x02\x1d"[..]),
            (
                "2024-02-29T23:59:59.000001",
                kind::DATETIME,
                b"\x0b\xe8\x07\x02\x1d\x17\x3b\x3b\x01\x00\x00\x00",
            ),
            (
                "2024-03-01 01:00:00+02:00",
                kind::DATETIME,
                b"\x0b\xe8\x07\x02\x1d\x17\x00\x00\x00\x00\x00\x00",
            ),
            (
                "12:34:56",
                kind::TIME,
                b"\x0c\x00\x00\x00\x00\x00\x0c\x22\x38\x00\x00\x00\x00",
            ),
        ] {
            let sent = Parameter::new(&Value::Temporal(text.to_owned())).expect(text);
            assert_eq!(
                (sent.kind, sent.bytes.as_deref()),
                (kind, Some(bytes)),
                "{text}"
            );
        }
        for text in ["2024-02-30", "12:00:00.0000001", "tomorrow"] {
            assert!(
                Parameter::new(&Value::Temporal(text.to_owned())).is_err(),
                "{text}"
            );
        }
        let hours = |hours: i64| Value::Duration {
            microseconds: hours * 3_600_000_000,
        };
        assert!(Parameter::new(&hours(-838)).is_ok());
        assert!(Parameter::new(&hours(839)).is_err());
    }

    #[test]
    fn lengths_have_as_many_bytes_as_they_need() {
        assert_eq!(with_length(b"a"), b"\x01a");
        assert_eq!(&with_length(&[0; 251])[..3], b"\xfc\xfb\x00");
        assert_eq!(&with_length(&vec![0; 65_536])[..4], b"\xfd\x00\x00\x01");
    }
}
