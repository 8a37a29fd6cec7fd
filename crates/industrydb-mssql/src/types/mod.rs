//! The type table: the column type for each SQL Server type name, such as `decimal(15,2)`.

use industrydb_core::ColumnType;
use industrydb_core::convert::is_convertible;
use mssql_tds::datatypes::sqldatatypes::TdsDataType;
use mssql_tds::query::metadata::ColumnMetadata;
use polars_core::prelude::TimeUnit;

pub(crate) mod calendar;
pub(crate) mod decimal;

/// How the values of a column are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoding {
    /// Decoded into the column type from the type table.
    Own(ColumnType),
    /// Decoded as text, since a `sql_variant` column holds values of several types.
    Variant,
    /// Decoded into the column type that the caller asks for.
    Asked(ColumnType),
}

impl Decoding {
    /// Returns the type of the finished column.
    pub(crate) fn column_type(&self) -> ColumnType {
        match self {
            Self::Own(column_type) | Self::Asked(column_type) => column_type.clone(),
            Self::Variant => ColumnType::String,
        }
    }

    /// Returns the decoding into a type that the caller asks for; `None` if the values cannot be
    /// converted.
    pub(crate) fn overridden(&self, asked: &ColumnType) -> Option<Self> {
        match self {
            Self::Own(own) if own == asked => Some(self.clone()),
            Self::Own(ColumnType::List(_)) => None,
            Self::Own(own) if is_convertible(own, asked) => Some(Self::Asked(asked.clone())),
            Self::Variant if *asked == ColumnType::String => Some(self.clone()),
            _ => None,
        }
    }
}

/// Returns a type's name without its size.
pub(crate) fn base(name: &str) -> &str {
    name.split('(').next().unwrap_or(name)
}

/// Looks up how a type is decoded, by its name such as `decimal(15,2)`.
pub(crate) fn decoding(name: &str) -> Decoding {
    use ColumnType as T;
    let (base, size) = name.split_once('(').unwrap_or((name, ""));
    let mut sizes = size.trim_end_matches(')').split(',');
    let mut size = || sizes.next()?.trim().parse::<u8>().ok();
    let own = match base {
        "bit" => T::Boolean,
        "tinyint" => T::UInt8,
        "smallint" => T::Int16,
        "int" => T::Int32,
        "bigint" => T::Int64,
        "real" => T::Float32,
        "float" => T::Float64,
        "decimal" | "numeric" => match (size().unwrap_or(18), size().unwrap_or(0)) {
            (precision @ 1..=38, scale) if scale <= precision => T::Decimal { precision, scale },
            _ => T::String, // SQL Server has no such type
        },
        "money" => T::Decimal {
            precision: 19,
            scale: 4,
        },
        "smallmoney" => T::Decimal {
            precision: 10,
            scale: 4,
        },
        "date" => T::Date,
        "time" => T::Time,
        // A seventh fractional digit is finer than a microsecond.
        "datetime2" if size() == Some(7) => T::Ticks { utc: false },
        "datetime2" | "datetime" | "smalldatetime" => T::DATETIME,
        "datetimeoffset" if size() == Some(7) => T::Ticks { utc: true },
        "datetimeoffset" => T::DATETIME_UTC,
        "binary" | "varbinary" | "image" | "timestamp" | "rowversion" | "hierarchyid"
        | "geometry" | "geography" | "udt" => T::Binary,
        // Vectors of half-precision floats arrive as text.
        "vector" if !name.contains("float16") => T::List(Box::new(T::Float32)),
        "sql_variant" => return Decoding::Variant,
        _ => T::String,
    };
    Decoding::Own(own)
}

/// Returns the type of a new SQL Server column for a frame's column; `None` if no type can hold its
/// values. The new column reads back as the same column type if SQL Server has an equivalent.
pub(crate) fn type_name(column_type: &ColumnType) -> Option<String> {
    use ColumnType as T;
    let digits = |unit: TimeUnit| match unit {
        TimeUnit::Milliseconds => 3,
        TimeUnit::Microseconds => 6,
        TimeUnit::Nanoseconds => 7,
    };
    let name = match column_type {
        T::Boolean => "bit",
        T::UInt8 => "tinyint",
        T::Int8 | T::Int16 => "smallint",
        T::Int32 | T::UInt16 => "int",
        T::Int64 | T::UInt32 => "bigint",
        T::UInt64 => "decimal(20,0)",
        T::Float32 => "real",
        T::Float64 => "float",
        T::Decimal { precision, scale } => return Some(format!("decimal({precision},{scale})")),
        T::Date => "date",
        T::Time => "time(7)",
        T::Datetime { unit, utc: false } => return Some(format!("datetime2({})", digits(*unit))),
        T::Datetime { unit, utc: true } => {
            return Some(format!("datetimeoffset({})", digits(*unit)));
        }
        T::String | T::Null => "nvarchar(max)",
        T::Binary => "varbinary(max)",
        T::Duration { .. } | T::List(_) | T::Struct(_) | T::Interval | T::Ticks { .. } => {
            return None;
        }
    };
    Some(name.to_owned())
}

/// Returns the name of a CLR type, for messages and for [`decoding`].
pub(crate) fn user_defined(name: &str) -> String {
    match name {
        "hierarchyid" | "geometry" | "geography" => name.to_owned(),
        other => format!("udt({other})"),
    }
}

/// Returns the type name of a result column, from its metadata on the wire.
pub(crate) fn name(column: &ColumnMetadata) -> String {
    use TdsDataType as D;
    let length = column.type_info.length;
    let (precision, scale) = (column.get_precision(), column.get_scale());
    let sized = |name: &str, digits: u8| format!("{name}({digits})");
    let name = match column.data_type {
        D::Bit | D::BitN => "bit",
        D::Int1 => "tinyint",
        D::Int2 => "smallint",
        D::Int4 => "int",
        D::Int8 => "bigint",
        D::IntN => match length {
            1 => "tinyint",
            2 => "smallint",
            4 => "int",
            _ => "bigint",
        },
        D::Flt4 => "real",
        D::FltN if length == 4 => "real",
        D::Flt8 | D::FltN => "float",
        D::Decimal | D::DecimalN | D::Numeric | D::NumericN => {
            let (precision, scale) = (precision.unwrap_or(38), scale.unwrap_or(0));
            return format!("decimal({precision},{scale})");
        }
        D::Money4 => "smallmoney",
        D::MoneyN if length == 4 => "smallmoney",
        D::Money | D::MoneyN => "money",
        D::DateN => "date",
        D::TimeN => return sized("time", scale.unwrap_or(7)),
        D::DateTim4 => "smalldatetime",
        D::DateTimeN if length == 4 => "smalldatetime",
        D::DateTime | D::DateTimeN => "datetime",
        D::DateTime2N => return sized("datetime2", scale.unwrap_or(7)),
        D::DateTimeOffsetN => return sized("datetimeoffset", scale.unwrap_or(7)),
        D::Binary | D::BigBinary => "binary",
        D::VarBinary | D::BigVarBinary => "varbinary",
        D::Image => "image",
        D::Udt => "udt",
        D::Vector => "vector",
        D::SsVariant => "sql_variant",
        D::Guid => "uniqueidentifier",
        D::Char | D::BigChar => "char",
        D::VarChar | D::BigVarChar => "varchar",
        D::Text => "text",
        D::NText => "ntext",
        D::NChar => "nchar",
        D::NVarChar => "nvarchar",
        D::Xml => "xml",
        D::Json => "json",
        D::Void | D::SqlTable | D::None => "unknown",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    /// `docs/writing.md` lists the type that each Polars type gets, with Polars types in Python
    /// notation.
    #[test]
    fn the_table_of_new_columns_is_true() {
        use ColumnType as T;
        let datetime = |unit, utc| T::Datetime { unit, utc };
        let decimal = |precision| T::Decimal {
            precision,
            scale: 2,
        };
        let known = [
            ("Boolean", T::Boolean),
            ("Int8", T::Int8),
            ("Int16", T::Int16),
            ("UInt8", T::UInt8),
            ("Int32", T::Int32),
            ("UInt16", T::UInt16),
            ("Int64", T::Int64),
            ("UInt32", T::UInt32),
            ("UInt64", T::UInt64),
            ("Float32", T::Float32),
            ("Float64", T::Float64),
            ("Decimal(15, 2)", decimal(15)),
            ("Decimal(16, 2)", decimal(16)),
            ("Date", T::Date),
            ("Time", T::Time),
            ("Datetime(\"ms\")", datetime(TimeUnit::Milliseconds, false)),
            ("Datetime(\"us\")", datetime(TimeUnit::Microseconds, false)),
            ("Datetime(\"ns\")", datetime(TimeUnit::Nanoseconds, false)),
            (
                "Datetime(\"us\", \"UTC\")",
                datetime(TimeUnit::Microseconds, true),
            ),
            ("Duration(\"us\")", T::DURATION),
            ("String", T::String),
            ("Null", T::Null),
            ("Binary", T::Binary),
            ("List(Int64)", T::List(Box::new(T::Int64))),
        ];
        let page = docs::page("writing.md").expect("the page");
        let (_, table) = page.split_once("## Types of new columns").expect("a table");
        for (name, column_type) in known {
            let quoted = format!("`{name}`");
            let row = table.lines().find(|line| {
                let mut cells = line.split('|');
                cells.nth(1).is_some_and(|cell| cell.contains(&quoted))
            });
            let shown = row
                .and_then(|row| row.split('|').nth(4))
                .expect(name)
                .trim();
            let expected = Some(shown.trim_matches('`').to_owned()).filter(|text| !text.is_empty());
            assert_eq!(type_name(&column_type), expected, "{name}");
        }
    }

    use industrydb_testkit::docs;

    use super::*;

    /// Formats a column type in the notation of the documentation's table.
    fn shown(column_type: &ColumnType) -> String {
        use ColumnType as T;
        match column_type {
            T::Decimal { precision, scale } => format!("Decimal({precision}, {scale})"),
            T::Ticks { utc } => in_unit("ns", *utc),
            T::Datetime { utc, .. } => in_unit("us", *utc),
            T::List(inner) => format!("List({})", shown(inner)),
            other => format!("{other:?}"),
        }
    }

    fn in_unit(unit: &str, utc: bool) -> String {
        let zone = if utc { ", \"UTC\"" } else { "" };
        format!("Datetime(\"{unit}\"{zone})")
    }

    #[test]
    fn the_documentations_table_is_true() {
        let page = docs::page("databases/sqlserver.md").expect("the page");
        let (_, types) = page.split_once("## Types").expect("the page has a table");
        let rows = types.lines().filter(|line| line.starts_with("| `"));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.split('`').collect()).collect();
        assert_eq!(rows.len(), 28);
        for row in rows {
            let column_type = decoding(row[1]).column_type();
            assert_eq!(shown(&column_type), row[3], "{}", row[1]);
        }
    }

    #[test]
    fn names_with_their_sizes_pick_the_type() {
        use ColumnType as T;
        let decimal = |precision, scale| T::Decimal { precision, scale };
        for (name, column_type) in [
            ("tinyint", T::UInt8),
            ("decimal(15,2)", decimal(15, 2)),
            ("numeric(38, 38)", decimal(38, 38)),
            ("money", decimal(19, 4)),
            ("datetime2(7)", T::Ticks { utc: false }),
            ("datetime2(3)", T::DATETIME),
            ("datetimeoffset(7)", T::Ticks { utc: true }),
            ("nvarchar(max)", T::String),
            ("uniqueidentifier", T::String),
            ("varbinary(8000)", T::Binary),
            ("sql_variant", T::String),
            ("something new", T::String),
        ] {
            assert_eq!(decoding(name).column_type(), column_type, "{name}");
        }
    }
}
