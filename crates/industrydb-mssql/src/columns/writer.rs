//! The driver's push interface: a call for each value of a row, in the order of the columns.

use std::borrow::Cow;

use industrydb_core::calendar::{
    DAYS_0001_TO_1970, DAYS_1900_TO_1970, DAYS_1970_TO_9999, MILLISECONDS_PER_DAY,
    NANOSECONDS_PER_SECOND,
};
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, Result};
use mssql_tds::datatypes::column_values::{
    SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime,
    SqlSmallMoney, SqlTime, SqlXml,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_json::SqlJson;
use mssql_tds::datatypes::sql_string::EncodingType;
use mssql_tds::datatypes::sql_vector::SqlVector;
use uuid::Uuid;

use crate::columns::sink::Sink;
use crate::columns::temporal::{
    LAST_DAY, TICKS_PER_DAY, instant, moment, nanoseconds, out_of_range,
};
use crate::wire::code_page;
use crate::wire::utf16::{not_text, to_utf8};

/// Passes values from the driver to a sink. The driver's interface takes no errors, so the first
/// one is kept.
pub(crate) struct Writer<S> {
    sink: S,
    width: usize,
    written: usize,
    rows: u64,
    error: Option<(usize, Box<CellError>)>,
    /// Scratch memory for the conversion to UTF-8.
    utf8: Vec<u8>,
}

impl<S: Sink> Writer<S> {
    pub(crate) fn new(sink: S, width: usize) -> Self {
        Self {
            sink,
            width,
            written: 0,
            rows: 0,
            error: None,
            utf8: Vec::new(),
        }
    }

    /// Returns the number of rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns a reference to the sink.
    pub(crate) fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Consumes the writer, and returns the sink.
    pub(crate) fn into_sink(self) -> S {
        self.sink
    }

    /// Returns the first error of the rows so far.
    #[inline]
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.error.take() {
            None => Ok(()),
            Some((column, error)) => {
                let row = usize::try_from(self.rows).unwrap_or_default();
                Err(self.sink.located(column, error, row))
            }
        }
    }

    #[inline]
    fn put(&mut self, column: usize, value: Scalar) {
        self.written += 1;
        if let Err(error) = self.sink.push(column, Some(value)) {
            self.keep(column, error);
        }
    }

    #[cold]
    fn keep(&mut self, column: usize, error: Box<CellError>) {
        self.error.get_or_insert((column, error));
    }

    fn put_decimal(&mut self, column: usize, value: DecimalParts) {
        match i128::try_from(value.magnitude()) {
            Ok(magnitude) => self.put(
                column,
                Scalar::Decimal {
                    unscaled: if value.is_positive {
                        magnitude
                    } else {
                        -magnitude
                    },
                    scale: value.scale,
                },
            ),
            Err(_) => self.keep(column, CellError::malformed("it has more than 38 digits")),
        }
    }

    /// Puts little-endian UTF-16 text.
    fn put_utf16(&mut self, column: usize, bytes: &[u8]) {
        let mut scratch = std::mem::take(&mut self.utf8);
        match to_utf8(bytes, &mut scratch) {
            Ok(text) => self.put(column, Scalar::Text(text)),
            Err(error) => self.keep(column, error),
        }
        self.utf8 = scratch;
    }
}

impl<S: Sink> RowWriter for Writer<S> {
    fn write_null(&mut self, column: usize) {
        self.written += 1;
        if let Err(error) = self.sink.push(column, None) {
            self.keep(column, error);
        }
    }

    fn write_bool(&mut self, column: usize, value: bool) {
        self.put(column, Scalar::Boolean(value));
    }

    fn write_u8(&mut self, column: usize, value: u8) {
        self.put(column, Scalar::Integer(value.into()));
    }

    fn write_i16(&mut self, column: usize, value: i16) {
        self.put(column, Scalar::Integer(value.into()));
    }

    fn write_i32(&mut self, column: usize, value: i32) {
        self.put(column, Scalar::Integer(value.into()));
    }

    fn write_i64(&mut self, column: usize, value: i64) {
        self.put(column, Scalar::Integer(value));
    }

    fn write_f32(&mut self, column: usize, value: f32) {
        self.put(column, Scalar::Float32(value));
    }

    fn write_f64(&mut self, column: usize, value: f64) {
        self.put(column, Scalar::Float64(value));
    }

    fn write_string(&mut self, column: usize, bytes: Cow<'_, [u8]>, encoding: EncodingType) {
        match encoding {
            EncodingType::Utf16 => self.put_utf16(column, &bytes),
            EncodingType::Utf8 => self.put(column, Scalar::Text(&bytes)),
            // The first half of every code page is ASCII.
            _ if bytes.is_ascii() => self.put(column, Scalar::Text(&bytes)),
            _ => match code_page::of(encoding) {
                Some(page) => {
                    let (text, has_errors) = page.decode_without_bom_handling(&bytes);
                    if has_errors {
                        self.keep(column, not_text(&text, page.name()));
                    } else {
                        self.put(column, Scalar::Text(text.as_bytes()));
                    }
                }
                None => self.keep(column, not_text("…", "of a code page that is known")),
            },
        }
    }

    fn write_bytes(&mut self, column: usize, bytes: Cow<'_, [u8]>) {
        self.put(column, Scalar::Bytes(&bytes));
    }

    fn write_decimal(&mut self, column: usize, value: DecimalParts) {
        self.put_decimal(column, value);
    }

    fn write_numeric(&mut self, column: usize, value: DecimalParts) {
        self.put_decimal(column, value);
    }

    fn write_date(&mut self, column: usize, value: SqlDate) {
        let days = i64::from(value.get_days()) - i64::from(DAYS_0001_TO_1970);
        match i32::try_from(days) {
            Ok(days) if value.get_days() <= LAST_DAY => self.put(column, Scalar::Date(days)),
            _ => self.keep(column, out_of_range()),
        }
    }

    fn write_time(&mut self, column: usize, value: SqlTime) {
        match i64::try_from(nanoseconds(&value)) {
            Ok(nanoseconds) if value.time_nanoseconds < TICKS_PER_DAY => {
                self.put(column, Scalar::Time(nanoseconds));
            }
            _ => self.keep(column, out_of_range()),
        }
    }

    fn write_datetime(&mut self, column: usize, value: SqlDateTime) {
        const MILLISECONDS: u64 = MILLISECONDS_PER_DAY.cast_unsigned();
        // `time` counts units of 1/300 second, which SQL Server shows as the nearest millisecond.
        let milliseconds = (u64::from(value.time) * 10 + 1) / 3;
        let days = i64::from(value.days) - i64::from(DAYS_1900_TO_1970);
        let (first, last) = (-i64::from(DAYS_0001_TO_1970), i64::from(DAYS_1970_TO_9999));
        if (first..=last).contains(&days) && milliseconds < MILLISECONDS {
            self.put(column, instant(days, milliseconds * 1_000_000));
        } else {
            self.keep(column, out_of_range());
        }
    }

    fn write_smalldatetime(&mut self, column: usize, value: SqlSmallDateTime) {
        const MINUTES_PER_DAY: u16 = 1440;
        const NANOSECONDS_PER_MINUTE: u64 = 60 * NANOSECONDS_PER_SECOND.cast_unsigned();
        let days = i64::from(value.days) - i64::from(DAYS_1900_TO_1970);
        if value.time < MINUTES_PER_DAY {
            let nanoseconds = u64::from(value.time) * NANOSECONDS_PER_MINUTE;
            self.put(column, instant(days, nanoseconds));
        } else {
            self.keep(column, out_of_range());
        }
    }

    fn write_datetime2(&mut self, column: usize, value: SqlDateTime2) {
        match moment(&value) {
            Some(moment) => self.put(column, moment),
            None => self.keep(column, out_of_range()),
        }
    }

    /// Puts the time, which is in UTC on the wire, and the offset of its zone.
    fn write_datetimeoffset(&mut self, column: usize, value: SqlDateTimeOffset) {
        self.written += 1;
        let pushed = match moment(&value.datetime2) {
            Some(moment) => self.sink.push_zoned(column, moment, value.offset),
            None => Err(out_of_range()),
        };
        if let Err(error) = pushed {
            self.keep(column, error);
        }
    }

    fn write_money(&mut self, column: usize, value: SqlMoney) {
        let unscaled = i64::from(value.msb_part) << 32 | i64::from(value.lsb_part.cast_unsigned());
        let unscaled = i128::from(unscaled);
        self.put(column, Scalar::Decimal { unscaled, scale: 4 });
    }

    fn write_smallmoney(&mut self, column: usize, value: SqlSmallMoney) {
        let unscaled = i128::from(value.int_val);
        self.put(column, Scalar::Decimal { unscaled, scale: 4 });
    }

    fn write_uuid(&mut self, column: usize, value: Uuid) {
        let mut text = Uuid::encode_buffer();
        let text = value.hyphenated().encode_upper(&mut text);
        self.put(column, Scalar::Text(text.as_bytes()));
    }

    fn write_xml(&mut self, column: usize, value: SqlXml) {
        self.put_utf16(column, &value.bytes);
    }

    fn write_json(&mut self, column: usize, value: SqlJson) {
        self.put(column, Scalar::Text(&value.bytes));
    }

    fn write_vector(&mut self, column: usize, value: SqlVector) {
        self.written += 1;
        let values = value.as_f32().unwrap_or_default();
        if let Err(error) = self.sink.push_vector(column, values) {
            self.keep(column, error);
        }
    }

    fn end_row(&mut self) {
        self.rows += 1;
        if self.written != self.width && self.error.is_none() {
            self.keep(
                0,
                CellError::malformed("the row has not all of its columns"),
            );
        }
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::rows::Rows;
    use industrydb_core::{ColumnType, Field};
    use mssql_tds::datatypes::sql_string::EncodingType;

    /// Writes a value as a column of a type, and returns the debug output of the column's array.
    fn written(type_name: &str, write: impl FnOnce(&mut Writer<Rows>)) -> Result<String> {
        let decoding = crate::types::decoding(type_name);
        let fields = [Field::new("v", type_name, decoding.column_type())];
        let mut writer = Writer::new(Rows::new(&fields[..], &[decoding]), 1);
        write(&mut writer);
        writer.end_row();
        writer.check()?;
        let chunk = writer.into_sink().take(1);
        Ok(format!("{:?}", chunk.columns[0].array))
    }

    fn time(ticks: u64) -> SqlTime {
        SqlTime {
            time_nanoseconds: ticks,
            scale: 7,
        }
    }

    /// Days and times are decoded from the epoch of their type: 2024-02-29 12:34:56.7890123 is
    /// 738,944 days after 0001-01-01 and 45,349 days after 1900-01-01.
    #[test]
    fn days_and_times_are_counted_from_their_epochs() {
        let datetime2 = |nanoseconds| SqlDateTime2 {
            days: 738_944,
            time: time(nanoseconds),
        };
        let noon = 452_967_890_123;
        for (type_name, array, expected) in [
            (
                "date",
                written("date", |w| {
                    w.write_date(0, SqlDate::create(738_944).expect("a day"));
                }),
                "Int32[19782]",
            ),
            (
                "time(7)",
                written("time(7)", |w| w.write_time(0, time(noon))),
                "Int64[45296789012300]",
            ),
            (
                "datetime2(7)",
                written("datetime2(7)", |w| w.write_datetime2(0, datetime2(noon))),
                "Int64[17092100967890123]",
            ),
            (
                "datetime2(3)",
                written("datetime2(3)", |w| {
                    w.write_datetime2(0, datetime2(452_967_890_000));
                }),
                "Int64[1709210096789000]",
            ),
            (
                "datetimeoffset(7)",
                written("datetimeoffset(7)", |w| {
                    let datetime2 = datetime2(noon);
                    w.write_datetimeoffset(
                        0,
                        SqlDateTimeOffset {
                            datetime2,
                            offset: 345,
                        },
                    );
                }),
                "Int64[17092100967890123]",
            ),
            (
                "datetime",
                written("datetime", |w| {
                    w.write_datetime(
                        0,
                        SqlDateTime {
                            days: 45_349,
                            time: 13_589_037,
                        },
                    );
                }),
                "Int64[1709210096790000]",
            ),
            (
                "smalldatetime",
                written("smalldatetime", |w| {
                    w.write_smalldatetime(
                        0,
                        SqlSmallDateTime {
                            days: 45_349,
                            time: 755,
                        },
                    );
                }),
                "Int64[1709210100000000]",
            ),
        ] {
            assert_eq!(array.expect(type_name), expected, "{type_name}");
        }
    }

    #[test]
    fn numbers_and_bytes_are_themselves() {
        let decimal = DecimalParts::new(false, 38, 2, 12_345);
        let money = SqlMoney {
            lsb_part: -1,
            msb_part: i32::MAX,
        };
        for (type_name, array, expected) in [
            (
                "decimal(38,2)",
                written("decimal(38,2)", |w| w.write_decimal(0, decimal)),
                "Int128[-12345]",
            ),
            (
                "money",
                written("money", |w| w.write_money(0, money)),
                "Int128[9223372036854775807]",
            ),
            (
                "smallmoney",
                written("smallmoney", |w| {
                    w.write_smallmoney(0, SqlSmallMoney { int_val: -1 });
                }),
                "Int128[-1]",
            ),
            (
                "tinyint",
                written("tinyint", |w| w.write_u8(0, 255)),
                "UInt8[255]",
            ),
            (
                "uniqueidentifier",
                written("uniqueidentifier", |w| {
                    w.write_uuid(0, Uuid::from_u128(0xabc));
                }),
                "Utf8ViewArray[00000000-0000-0000-0000-000000000ABC]",
            ),
            (
                "sql_variant",
                written("sql_variant", |w| {
                    w.write_bytes(0, Cow::Borrowed(b"\x00\xff"));
                }),
                "Utf8ViewArray[0x00FF]",
            ),
            (
                "bit",
                written("bit", |w| w.write_null(0)),
                "BooleanArray[None]",
            ),
        ] {
            assert_eq!(array.expect(type_name), expected, "{type_name}");
        }
    }

    #[test]
    fn texts_are_read_by_their_encoding() {
        let utf16 =
            |units: &[u16]| -> Vec<u8> { units.iter().flat_map(|u| u.to_le_bytes()).collect() };
        let text = |bytes: Vec<u8>, encoding| {
            written("nvarchar(9)", |w| {
                w.write_string(0, Cow::Owned(bytes), encoding);
            })
        };
        let smile = utf16(&[0x61, 0xd83d, 0xde00]);
        assert_eq!(
            text(smile, EncodingType::Utf16).expect("valid"),
            "Utf8ViewArray[a😀]"
        );
        assert_eq!(
            text("ä".into(), EncodingType::Utf8).expect("valid"),
            "Utf8ViewArray[ä]"
        );
        for (bytes, encoding) in [
            (utf16(&[0xd83d, 0x61]), EncodingType::Utf16),
            (vec![0x61], EncodingType::Utf16),
            (vec![0xff], EncodingType::Utf8),
        ] {
            let error = text(bytes, encoding).expect_err("no text").to_string();
            assert!(
                error.contains("column \"v\"") && error.contains("row 1"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_was_not_announced_is_an_error() {
        written("int", |w| w.write_i64(0, i64::MAX)).expect_err("too large");
        written("int", |w| w.write_f64(0, 0.5)).expect_err("a float");
        written("int", |_| {}).expect_err("no value");
        written("int", |w| w.write_i32(1, 1)).expect_err("a second column");
        written("datetime2(6)", |w| {
            let finer = SqlDateTime2 {
                days: 1,
                time: time(1),
            };
            w.write_datetime2(0, finer);
        })
        .expect_err("finer than a microsecond");
        assert_eq!(
            crate::types::decoding("int").column_type(),
            ColumnType::Int32
        );
    }
}
