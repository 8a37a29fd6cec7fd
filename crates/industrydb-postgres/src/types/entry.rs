//! The type table: which decoder reads which PostgreSQL type, decided once per column.

use industrydb_core::ColumnType;
use industrydb_core::column_type::MAX_PRECISION;
use industrydb_core::convert::is_convertible;

use crate::types::order::{Order, type_in_catalog};

/// How the server sends a column, and how it is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoding {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    /// A numeric with declared precision and scale.
    Numeric {
        precision: u8,
        scale: u8,
    },
    /// A numeric without declared precision and scale: its scale grows with the values.
    AnyNumeric,
    Date,
    Time,
    Timestamp {
        utc: bool,
    },
    Interval,
    Uuid,
    Bytea,
    /// A type whose binary form is its text.
    Text,
    Jsonb,
    List {
        element: Box<Decoding>,
        /// Number of dimensions of the arrays; `None` if the first array that is not empty decides.
        dimensions: Option<usize>,
    },
    /// The named fields of a composite type.
    Composite(Vec<(String, Decoding)>),
    /// Values that the server converts to another type, which the inner decoding reads.
    Cast(Cast, Box<Decoding>),
    /// A type with a decoder, whose values are converted to another type that the caller asks for.
    Converted(Box<Decoding>, ColumnType),
}

/// How the server converts a value to a type that has a decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cast {
    /// A cast to a type in `pg_catalog`.
    To(&'static str),
    /// The type's output function, for a type whose cast to text gives another text: the cast of
    /// `inet`, for example, adds the length of the mask.
    Printed(String),
    /// The output function of arrays, whose text is then cast to an array of texts.
    PrintedList,
}

impl Decoding {
    /// Returns the decoding of arrays of these elements.
    pub(crate) fn list(element: Self) -> Self {
        Self::List {
            element: Box::new(element),
            dimensions: None,
        }
    }

    /// Returns the decoding of values that the server casts to text.
    pub(crate) fn printed() -> Self {
        Self::Cast(Cast::To("text"), Box::new(Self::Text))
    }

    /// Returns the decoding of values that the server prints by the output function `output`.
    pub(crate) fn printed_by(output: String) -> Self {
        Self::Cast(Cast::Printed(output), Box::new(Self::Text))
    }

    /// Returns the decoding of arrays whose elements the server casts to text.
    pub(crate) fn printed_list() -> Self {
        Self::Cast(Cast::To("text[]"), Box::new(Self::list(Self::Text)))
    }

    /// Returns the type of the column that the decoder builds.
    pub(crate) fn column_type(&self) -> ColumnType {
        match self {
            Self::Bool => ColumnType::Boolean,
            Self::Int2 => ColumnType::Int16,
            Self::Int4 => ColumnType::Int32,
            Self::Int8 => ColumnType::Int64,
            Self::Oid => ColumnType::UInt32,
            Self::Float4 => ColumnType::Float32,
            Self::Float8 => ColumnType::Float64,
            Self::Numeric { precision, scale } => ColumnType::Decimal {
                precision: *precision,
                scale: *scale,
            },
            Self::AnyNumeric => ColumnType::Decimal {
                precision: MAX_PRECISION,
                scale: 0,
            },
            Self::Date => ColumnType::Date,
            Self::Time => ColumnType::Time,
            Self::Timestamp { utc: false } => ColumnType::DATETIME,
            Self::Timestamp { utc: true } => ColumnType::DATETIME_UTC,
            Self::Interval => ColumnType::Interval,
            Self::Bytea => ColumnType::Binary,
            Self::Uuid | Self::Text | Self::Jsonb => ColumnType::String,
            Self::List {
                element,
                dimensions,
            } => (0..dimensions.unwrap_or(1)).fold(element.column_type(), |inner, _| {
                ColumnType::List(Box::new(inner))
            }),
            Self::Composite(fields) => ColumnType::Struct(
                fields
                    .iter()
                    .map(|(name, field)| (name.clone(), field.column_type()))
                    .collect(),
            ),
            Self::Cast(_, decoding) => decoding.column_type(),
            Self::Converted(_, asked) => asked.clone(),
        }
    }

    /// Returns whether the values decide the scale, or the number of dimensions of arrays.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::AnyNumeric => true,
            Self::List {
                element,
                dimensions,
            } => dimensions.is_none() || element.is_open(),
            Self::Cast(_, decoding) => decoding.is_open(),
            Self::Composite(fields) => fields.iter().any(|(_, field)| field.is_open()),
            _ => false,
        }
    }

    /// Returns whether the values decide the number of dimensions of arrays, and nothing else.
    pub(crate) fn is_open_in_dimensions(&self) -> bool {
        match self {
            Self::List {
                element,
                dimensions: None,
            } => !element.is_open() && !element.column_type().is_open(),
            Self::Cast(_, decoding) => decoding.is_open_in_dimensions(),
            _ => false,
        }
    }

    /// Returns the decoding to a type that the caller asks for, or `None` if the values cannot be
    /// converted to it. Composite values in an array are sent as they are: SQL has no expression
    /// that casts their fields within the array.
    fn overridden(&self, asked: &ColumnType, can_cast: bool) -> Option<Self> {
        use ColumnType as T;
        let own = self.column_type();
        match (self, asked) {
            (Self::List { element, .. }, T::List(_)) => {
                let (inner, dimensions) = innermost(asked);
                let can_cast = can_cast && !matches!(inner, T::Struct(_));
                let element = element.overridden(inner, can_cast)?;
                let list = |element| Self::List {
                    element,
                    dimensions: Some(dimensions),
                };
                Some(match element {
                    Self::Cast(_, text) => Self::Cast(Cast::To("text[]"), Box::new(list(text))),
                    element => list(Box::new(element)),
                })
            }
            // The texts of printed elements cannot be converted to another type.
            (Self::Cast(Cast::To("text[]") | Cast::PrintedList, _), T::List(_))
                if *innermost(asked).0 != T::String =>
            {
                None
            }
            (Self::Cast(cast, list), T::List(_)) => {
                Some(match list.overridden(asked, can_cast)? {
                    Self::Cast(_, texts) => {
                        Self::Cast(Cast::To("float4[]::pg_catalog.text[]"), texts)
                    }
                    list => Self::Cast(cast.clone(), Box::new(list)),
                })
            }
            _ if own == *asked && *self != Self::AnyNumeric => Some(self.clone()),
            (_, T::String) if can_cast => Some(Self::printed()),
            (Self::Interval, T::String) => {
                Some(Self::Converted(Box::new(self.clone()), asked.clone()))
            }
            (_, T::String) => None,
            (Self::Uuid, T::Binary) => Some(Self::Bytea),
            (Self::Cast(Cast::To("numeric"), number), _) => {
                let number = number.overridden(asked, can_cast)?;
                Some(Self::Cast(Cast::To("numeric"), Box::new(number)))
            }
            (Self::Composite(fields), T::Struct(asked)) if fields.len() == asked.len() => {
                let field = |((name, own), (other, asked)): (&(String, Self), &(String, T))| {
                    let field = own.overridden(asked, can_cast).filter(|_| name == other)?;
                    Some((name.clone(), field))
                };
                let fields = fields.iter().zip(asked).map(field).collect::<Option<_>>()?;
                Some(Self::Composite(fields))
            }
            (Self::Cast(..) | Self::Composite(_), _) => None,
            _ => is_convertible(&own, asked)
                .then(|| Self::Converted(Box::new(self.clone()), asked.clone())),
        }
    }
}

/// Returns the innermost element type of nested lists, and the number of lists around it.
pub(crate) fn innermost(column_type: &ColumnType) -> (&ColumnType, usize) {
    match column_type {
        ColumnType::List(inner) => {
            let (inner, depth) = innermost(inner);
            (inner, depth + 1)
        }
        other => (other, 0),
    }
}

/// Built-in types that have a decoder: name, OID, OID of the array type (0 if there is none), and
/// decoding. The OIDs never change:
/// <https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat>
const BUILT_IN: [(&str, u32, u32, Decoding); 23] = [
    ("bool", 16, 1000, Decoding::Bool),
    ("bytea", 17, 1001, Decoding::Bytea),
    ("name", 19, 1003, Decoding::Text),
    ("int8", 20, 1016, Decoding::Int8),
    ("int2", 21, 1005, Decoding::Int2),
    ("int4", 23, 1007, Decoding::Int4),
    ("text", 25, 1009, Decoding::Text),
    ("oid", 26, 1028, Decoding::Oid),
    ("json", 114, 199, Decoding::Text),
    ("float4", 700, 1021, Decoding::Float4),
    ("float8", 701, 1022, Decoding::Float8),
    ("bpchar", 1042, 1014, Decoding::Text),
    ("varchar", 1043, 1015, Decoding::Text),
    ("date", 1082, 1182, Decoding::Date),
    ("time", 1083, 1183, Decoding::Time),
    ("timestamp", 1114, 1115, Decoding::Timestamp { utc: false }),
    ("timestamptz", 1184, 1185, Decoding::Timestamp { utc: true }),
    ("interval", 1186, 1187, Decoding::Interval),
    ("numeric", 1700, 1231, Decoding::AnyNumeric),
    ("uuid", 2950, 2951, Decoding::Uuid),
    ("jsonb", 3802, 3807, Decoding::Jsonb),
    ("unknown", 705, 0, Decoding::Text),
    ("refcursor", 1790, 2201, Decoding::Text),
];

/// A type's entry in the type table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TypeEntry {
    /// Name of the type.
    pub(crate) name: String,
    /// Type that a text literal is cast to for a comparison with values of this type.
    pub(crate) literal: String,
    /// Operators that order the values.
    pub(crate) order: Order,
    pub(crate) decoding: Decoding,
    /// Whether the values are rows, or may be since the type is unknown.
    pub(crate) is_composite: bool,
}

impl TypeEntry {
    /// Returns whether the values are rows of no named type, or arrays of them.
    pub(crate) fn is_record(&self) -> bool {
        matches!(self.name.as_str(), "record" | "record[]")
    }

    /// Changes the decoding to the type that the caller asks for; returns `false` if the values
    /// cannot be converted to it.
    pub(crate) fn take_override(&mut self, asked: &ColumnType) -> bool {
        let is_printed = matches!(self.decoding, Decoding::Cast(..));
        let source = match self.name.as_str() {
            // Without this, numerics with too many digits for a decimal are read as text.
            "numeric" if is_printed => Decoding::AnyNumeric,
            "numeric[]" if is_printed => Decoding::list(Decoding::AnyNumeric),
            "money" => Decoding::Cast(Cast::To("numeric"), Box::new(Decoding::AnyNumeric)),
            _ => self.decoding.clone(),
        };
        let is_text = *asked == self.decoding.column_type() && is_printed;
        if is_text {
            return true;
        }
        let Some(decoding) = source.overridden(asked, true) else {
            return false;
        };
        self.decoding = decoding;
        true
    }
}

/// Returns the entry of a built-in type, if it has a decoder.
pub(crate) fn built_in(oid: u32, modifier: i32) -> Option<TypeEntry> {
    BUILT_IN.iter().find_map(|(name, scalar, array, decoding)| {
        let element = match decoding {
            Decoding::AnyNumeric => numeric(modifier),
            other => other.clone(),
        };
        if oid == *scalar {
            let (literal, of_type) = match *name {
                // A cut may be outside the range of a smaller integer type.
                "int2" | "int4" => ("int8", None),
                // `varchar` has no operators of its own.
                "varchar" => ("text", Some("text")),
                name => (name, None),
            };
            return Some(TypeEntry {
                name: (*name).to_owned(),
                literal: type_in_catalog(literal),
                order: Order {
                    of_type: of_type.map(type_in_catalog),
                    ..Order::built_in()
                },
                decoding: element,
                is_composite: false,
            });
        }
        (oid == *array && *array != 0).then(|| TypeEntry {
            name: format!("{name}[]"),
            literal: type_in_catalog(&format!("{name}[]")),
            order: Order::built_in(),
            decoding: match element {
                Decoding::Cast(..) => Decoding::printed_list(),
                element => Decoding::list(element),
            },
            is_composite: false,
        })
    })
}

/// Returns the OID of the element type, if `array` is the array type of one of these types.
pub(crate) fn built_in_element(array: u32) -> Option<u32> {
    let mut arrays = BUILT_IN
        .iter()
        .filter(|(_, _, oid, _)| *oid != 0 && *oid == array);
    arrays.next().map(|(_, scalar, ..)| *scalar)
}

/// Returns the OID of the type that has this name in [`type_name`].
pub(crate) fn built_in_oid(name: &str) -> Option<u32> {
    let (element, is_array) = match name.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (name, false),
    };
    let element = match element.split('(').next()? {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        other => other,
    };
    let found = BUILT_IN.iter().find(|(name, ..)| *name == element)?;
    Some(if is_array { found.2 } else { found.1 })
}

/// Returns the column type of a table that stores the values of a frame's column, or `None` if
/// there is none. The column reads back as the frame's type, if PostgreSQL has such a type.
pub(crate) fn type_name(column_type: &ColumnType) -> Option<String> {
    use ColumnType as T;
    let name = match column_type {
        T::Boolean => "boolean",
        T::Int8 | T::Int16 | T::UInt8 => "smallint",
        T::Int32 | T::UInt16 => "integer",
        T::Int64 | T::UInt32 => "bigint",
        T::UInt64 => "numeric(20,0)",
        T::Float32 => "real",
        T::Float64 => "double precision",
        T::Decimal { precision, scale } => return Some(format!("numeric({precision},{scale})")),
        T::Date => "date",
        T::Time => "time",
        T::Datetime { utc: false, .. } => "timestamp",
        T::Datetime { utc: true, .. } => "timestamptz",
        T::Duration { .. } => "interval",
        T::String | T::Null => "text",
        T::Binary => "bytea",
        T::List(_) => match innermost(column_type).0 {
            T::List(_) | T::Null => return None,
            inner => return type_name(inner).map(|name| name + "[]"),
        },
        T::Struct(_) | T::Interval | T::Ticks { .. } => return None,
    };
    Some(name.to_owned())
}

/// Returns the decoding of a `numeric` by its type modifier.
///
/// The modifier is `(precision << 16 | scale) + 4`; the scale is a signed number of 11 bits. A
/// negative scale rounds digits before the decimal point; a scale above the precision implies
/// leading zeros after it.
fn numeric(modifier: i32) -> Decoding {
    if modifier < 4 {
        return Decoding::AnyNumeric;
    }
    let declared = modifier - 4;
    let precision = (declared >> 16) & 0xffff;
    let scale = ((declared & 0x7ff) ^ 0x400) - 0x400;
    let digits = (precision - scale.min(0)).max(scale);
    match (u8::try_from(digits), u8::try_from(scale.max(0))) {
        (Ok(precision), Ok(scale)) if precision <= MAX_PRECISION => {
            Decoding::Numeric { precision, scale }
        }
        _ => Decoding::printed(), // more digits than a decimal holds: exact as text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_numerics_become_the_decimal_that_holds_them() {
        let modifier = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        for (precision, scale, decoding) in [
            (
                15,
                2,
                Decoding::Numeric {
                    precision: 15,
                    scale: 2,
                },
            ),
            (
                38,
                38,
                Decoding::Numeric {
                    precision: 38,
                    scale: 38,
                },
            ),
            (
                3,
                5,
                Decoding::Numeric {
                    precision: 5,
                    scale: 5,
                },
            ),
            (
                2,
                -3,
                Decoding::Numeric {
                    precision: 5,
                    scale: 0,
                },
            ),
            (39, 0, Decoding::printed()),
            (1000, -1000, Decoding::printed()),
        ] {
            assert_eq!(numeric(modifier(precision, scale)), decoding);
        }
        assert_eq!(numeric(-1), Decoding::AnyNumeric);
    }

    #[test]
    fn arrays_are_lists_of_what_their_elements_are() {
        let entry = built_in(1007, -1).expect("int4[]");
        assert_eq!(entry.name, "int4[]");
        assert_eq!(entry.decoding, Decoding::list(Decoding::Int4));
        assert_eq!(built_in(0, -1), None);
    }
}
