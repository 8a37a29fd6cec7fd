//! The type table: the database's name of each type, and how its values are decoded.

use industrydb_core::ColumnType;
use industrydb_core::column_type::MAX_PRECISION;
use industrydb_core::convert::is_convertible;
use polars_core::prelude::TimeUnit;

use super::described::{BINARY, DescribedColumn, flags, kind};

/// How the values of a column are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoding {
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    /// A float that the server stores rounded to so many digits behind the point.
    Rounded {
        digits: u8,
    },
    /// A float of 32 bits that the server stores so.
    ShortRounded {
        digits: u8,
    },
    /// A number that is sent as text.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    /// A `datetime`, or a `timestamp` in UTC.
    Datetime {
        utc: bool,
    },
    /// A `time`, which may be negative and beyond a day.
    Time,
    /// One bit.
    Bit,
    /// Up to 64 bits.
    Bits,
    Text,
    /// A number with more digits than a decimal holds, as its text.
    Number,
    Bytes,
    Geometry,
    /// Floats of 32 bits.
    Vector,
    /// Values that are converted to a type that the caller asks for.
    Converted(Box<Decoding>, ColumnType),
}

impl Decoding {
    /// Returns the type of the finished column.
    pub(crate) fn column_type(&self) -> ColumnType {
        use ColumnType as T;
        match self {
            Self::Int8 => T::Int8,
            Self::Int16 => T::Int16,
            Self::Int32 => T::Int32,
            Self::Int64 => T::Int64,
            Self::UInt8 => T::UInt8,
            Self::UInt16 => T::UInt16,
            Self::UInt32 => T::UInt32,
            Self::UInt64 | Self::Bits => T::UInt64,
            Self::Float32 | Self::ShortRounded { .. } => T::Float32,
            Self::Float64 | Self::Rounded { .. } => T::Float64,
            Self::Decimal { precision, scale } => T::Decimal {
                precision: *precision,
                scale: *scale,
            },
            Self::Date => T::Date,
            Self::Datetime { utc } => T::Datetime {
                unit: TimeUnit::Microseconds,
                utc: *utc,
            },
            Self::Time => T::DURATION,
            Self::Bit => T::Boolean,
            Self::Text | Self::Number => T::String,
            Self::Bytes | Self::Geometry => T::Binary,
            Self::Vector => T::List(Box::new(T::Float32)),
            Self::Converted(_, asked) => asked.clone(),
        }
    }

    /// Returns the decoding of values that are sent as `sent`, into the column of this one; `None` if
    /// they may have other values.
    ///
    /// A float of a derived table is not known to be rounded, and MySQL gives an expression in a
    /// derived table the shortest integer or decimal that holds its values.
    pub(crate) fn of_sent(&self, sent: &Self) -> Option<Self> {
        let (own, asked) = match self {
            Self::Converted(own, asked) => (&**own, asked.clone()),
            own => (own, own.column_type()),
        };
        let double = |it: &Self| matches!(it, Self::Float64 | Self::Rounded { .. });
        let float = |it: &Self| matches!(it, Self::Float32 | Self::ShortRounded { .. });
        let scale = |it: &Self| match it {
            Self::Decimal { scale, .. } => Some(*scale),
            _ => None,
        };
        let both = |is: &dyn Fn(&Self) -> bool| is(own) && is(sent);
        if own == sent || both(&double) || both(&float) {
            Some(self.clone())
        } else if both(&Self::is_integer) || scale(own).is_some() && scale(own) == scale(sent) {
            Some(Self::Converted(Box::new(sent.clone()), asked))
        } else {
            None
        }
    }

    /// Returns whether the values may be those of a column of another type, which a derived table
    /// makes shorter: see [`of_sent`](Self::of_sent).
    pub(crate) fn may_be_shorter(&self, column: &ColumnType) -> bool {
        match (self, column) {
            (Self::Decimal { scale, .. }, ColumnType::Decimal { scale: other, .. }) => {
                scale == other
            }
            (own, column) => own.is_integer() && column.is_integer(),
        }
    }

    fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
        )
    }

    /// Returns the decoding into a type that the caller asks for; `None` if the values cannot be
    /// converted.
    pub(crate) fn overridden(&self, asked: &ColumnType) -> Option<Self> {
        let own = self.column_type();
        let may = match self {
            Self::Vector | Self::Geometry => false,
            // The text of a number has its value.
            Self::Number => is_convertible(&ColumnType::Float64, asked),
            _ => is_convertible(&own, asked),
        };
        if own == *asked {
            Some(self.clone())
        } else if may {
            Some(Self::Converted(Box::new(self.clone()), asked.clone()))
        } else {
            None
        }
    }
}

/// Returns the database's name of a column's type, as `SHOW COLUMNS` has it.
pub(crate) fn type_of(column: &DescribedColumn) -> String {
    let unsigned = |name: &str| {
        let sign = if column.has(flags::UNSIGNED) {
            " unsigned"
        } else {
            ""
        };
        format!("{name}{sign}")
    };
    let float = |name: &str| match column.rounded_digits() {
        Some(digits) => unsigned(&format!("{name}({},{digits})", column.length)),
        None => unsigned(name),
    };
    let second = |name: &str| match column.decimals {
        digits @ 1..=6 => format!("{name}({digits})"),
        _ => name.to_owned(),
    };
    let text_or_bytes = |text: &str, bytes: &str| {
        if column.charset == BINARY {
            bytes
        } else {
            text
        }
        .to_owned()
    };
    if matches!(
        column.extended.as_str(),
        "json" | "uuid" | "inet4" | "inet6" | "vector"
    ) {
        return column.extended.clone();
    }
    match column.kind {
        kind::TINY if column.length == 1 && !column.has(flags::UNSIGNED) => "tinyint(1)".to_owned(),
        kind::TINY => unsigned("tinyint"),
        kind::SHORT => unsigned("smallint"),
        kind::INT24 => unsigned("mediumint"),
        kind::LONG => unsigned("int"),
        kind::LONGLONG => unsigned("bigint"),
        kind::YEAR => "year".to_owned(),
        kind::FLOAT => float("float"),
        kind::DOUBLE => float("double"),
        kind::NEWDECIMAL | kind::DECIMAL => {
            let (precision, scale) = digits(column);
            unsigned(&format!("decimal({precision},{scale})"))
        }
        kind::DATE => "date".to_owned(),
        kind::DATETIME => second("datetime"),
        kind::TIMESTAMP => second("timestamp"),
        kind::TIME => second("time"),
        kind::BIT => format!("bit({})", column.length),
        kind::JSON => "json".to_owned(),
        kind::GEOMETRY => "geometry".to_owned(),
        kind::VECTOR => "vector".to_owned(),
        kind::NULL => "null".to_owned(),
        kind::ENUM => "enum".to_owned(),
        kind::SET => "set".to_owned(),
        kind::STRING if column.has(flags::ENUM) => "enum".to_owned(),
        kind::STRING if column.has(flags::SET) => "set".to_owned(),
        kind::STRING => text_or_bytes("char", "binary"),
        kind::VAR_STRING | kind::VARCHAR => text_or_bytes("varchar", "varbinary"),
        kind::TINY_BLOB | kind::MEDIUM_BLOB | kind::LONG_BLOB | kind::BLOB => {
            text_or_bytes("text", "blob")
        }
        other => format!("type {other}"),
    }
}

/// Returns the number of digits of a decimal, and of those after the point. The length of its texts
/// counts a sign and a point too.
fn digits(column: &DescribedColumn) -> (u32, u8) {
    let scale = column.decimals;
    let sign = u32::from(!column.has(flags::UNSIGNED));
    let point = u32::from(scale > 0);
    let precision = column.length.saturating_sub(sign + point);
    (precision.max(u32::from(scale)).max(1), scale)
}

/// Picks the decoding of a column; `None` for a type that nobody has described.
pub(crate) fn decoding(column: &DescribedColumn) -> Option<Decoding> {
    use Decoding as D;
    let is_unsigned = column.has(flags::UNSIGNED);
    let integer = |signed, unsigned| if is_unsigned { unsigned } else { signed };
    Some(match column.kind {
        kind::TINY => integer(D::Int8, D::UInt8),
        kind::SHORT => integer(D::Int16, D::UInt16),
        kind::INT24 | kind::LONG => integer(D::Int32, D::UInt32),
        kind::LONGLONG => integer(D::Int64, D::UInt64),
        kind::YEAR => D::Int16,
        kind::FLOAT => match column.rounded_digits() {
            Some(digits) => D::ShortRounded { digits },
            None => D::Float32,
        },
        kind::DOUBLE => match column.rounded_digits() {
            Some(digits) => D::Rounded { digits },
            None => D::Float64,
        },
        kind::NEWDECIMAL | kind::DECIMAL => {
            let (precision, scale) = digits(column);
            match u8::try_from(precision) {
                Ok(precision) if precision <= MAX_PRECISION && scale <= precision => {
                    D::Decimal { precision, scale }
                }
                _ => D::Number,
            }
        }
        kind::DATE => D::Date,
        kind::DATETIME => D::Datetime { utc: false },
        kind::TIMESTAMP => D::Datetime { utc: true },
        kind::TIME => D::Time,
        kind::BIT if column.length == 1 => D::Bit,
        kind::BIT => D::Bits,
        kind::JSON | kind::NULL | kind::ENUM | kind::SET => D::Text,
        kind::GEOMETRY => D::Geometry,
        kind::VECTOR => D::Vector,
        kind::VARCHAR
        | kind::TINY_BLOB
        | kind::MEDIUM_BLOB
        | kind::LONG_BLOB
        | kind::BLOB
        | kind::VAR_STRING
        | kind::STRING => match column.extended.as_str() {
            "vector" => D::Vector,
            "json" | "uuid" | "inet4" | "inet6" => D::Text,
            _ if column.charset == BINARY => D::Bytes,
            _ => D::Text,
        },
        _ => return None,
    })
}

/// Returns the type of a new column for a frame's column; `None` if no type can hold its values. The
/// new column reads back as the same column type if MySQL has an equivalent.
pub(crate) fn type_name(column_type: &ColumnType) -> Option<String> {
    use ColumnType as T;
    let name = match column_type {
        T::Boolean => "tinyint(1)",
        T::Int8 => "tinyint",
        T::Int16 => "smallint",
        T::Int32 => "int",
        T::Int64 => "bigint",
        T::UInt8 => "tinyint unsigned",
        T::UInt16 => "smallint unsigned",
        T::UInt32 => "int unsigned",
        T::UInt64 => "bigint unsigned",
        T::Float32 => "float",
        T::Float64 => "double",
        T::Decimal { precision, scale } => {
            // The most digits that MySQL has after the point.
            return (*scale <= 30).then(|| format!("decimal({precision},{scale})"));
        }
        T::Date => "date",
        T::Time | T::Duration { .. } => "time(6)",
        T::Datetime { utc: false, .. } => "datetime(6)",
        T::Datetime { utc: true, .. } => "timestamp(6) NULL", // without, a server may add a default of its own
        T::String | T::Null => "longtext CHARACTER SET utf8mb4",
        T::Binary => "longblob",
        T::List(_) | T::Struct(_) | T::Interval | T::Ticks { .. } => return None,
    };
    Some(name.to_owned())
}
