//! The type table: which decoder reads which PostgreSQL type, decided once per column.

use std::collections::HashMap;

use industrydb_core::types::MAX_PRECISION;
use industrydb_core::{ColumnType, Result, Stop};

use crate::connect::Session;
use crate::describe::DescribedColumn;

/// How a column travels and is decoded.
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
    /// A numeric without: its scale grows with the values.
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
    List(Box<Decoding>),
    /// A type without a binary decoder, which the server turns into text.
    Cast,
    /// An array of such a type.
    CastList,
    /// The type of the extension pgvector, which the server turns into an array of `float4`.
    Vector,
}

impl Decoding {
    /// The type that the decoder's builder makes.
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
            Self::Timestamp { utc } => ColumnType::Datetime { utc: *utc },
            Self::Interval => ColumnType::Interval,
            Self::Bytea => ColumnType::Binary,
            Self::Uuid | Self::Text | Self::Jsonb | Self::Cast => ColumnType::String,
            Self::List(element) => ColumnType::List(Box::new(element.column_type())),
            Self::CastList => ColumnType::List(Box::new(ColumnType::String)),
            Self::Vector => ColumnType::List(Box::new(ColumnType::Float32)),
        }
    }

    /// The type that the SELECT list casts the column to.
    pub(crate) fn cast(&self) -> Option<&'static str> {
        match self {
            Self::Cast => Some("text"),
            Self::CastList => Some("text[]"),
            Self::Vector => Some("float4[]"),
            _ => None,
        }
    }
}

/// The built-in types that have a decoder, with the arrays of each. The numbers never change:
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

/// What the type table says of a type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TypeEntry {
    /// Its name, for messages.
    pub(crate) name: String,
    /// Its name as a literal has it.
    pub(crate) literal: String,
    pub(crate) decoding: Decoding,
    /// Whether its values are rows.
    pub(crate) is_composite: bool,
}

/// Finds the type of each column.
pub(crate) fn entries(
    columns: &[DescribedColumn],
    session: &mut Session,
    stop: &Stop,
) -> Result<Vec<TypeEntry>> {
    let mut unknown: Vec<u32> = columns
        .iter()
        .map(|column| column.oid)
        .filter(|oid| built_in(*oid, -1).is_none())
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    let catalog = look_up(&unknown, session, stop)?;
    let entry = |column: &DescribedColumn| {
        built_in(column.oid, column.modifier)
            .or_else(|| catalog.get(&column.oid).cloned())
            .unwrap_or_else(|| TypeEntry {
                name: format!("type {}", column.oid),
                literal: "text".to_owned(),
                decoding: Decoding::Cast,
                is_composite: true,
            })
    };
    Ok(columns.iter().map(entry).collect())
}

fn built_in(oid: u32, modifier: i32) -> Option<TypeEntry> {
    BUILT_IN.iter().find_map(|(name, scalar, array, decoding)| {
        let element = match decoding {
            Decoding::AnyNumeric => numeric(modifier),
            other => other.clone(),
        };
        if oid == *scalar {
            // A cut may lie beyond what a small column holds.
            let literal = match element {
                Decoding::Int2 | Decoding::Int4 => "int8",
                _ => name,
            };
            return Some(TypeEntry {
                name: (*name).to_owned(),
                literal: literal.to_owned(),
                decoding: element,
                is_composite: false,
            });
        }
        (oid == *array && *array != 0).then(|| TypeEntry {
            name: format!("{name}[]"),
            literal: format!("{name}[]"),
            decoding: match element {
                Decoding::Cast => Decoding::CastList,
                element => Decoding::List(Box::new(element)),
            },
            is_composite: false,
        })
    })
}

/// The decimal that holds a `numeric(precision, scale)`.
///
/// The modifier is `(precision << 16 | scale) + 4`, its scale of 11 bits with a sign. A negative
/// scale rounds in front of the point, a scale above the precision leaves leading zeros behind it.
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
        _ => Decoding::Cast, // more digits than a decimal holds: exact as text
    }
}

/// Names the other types, and tells their arrays from the rest.
fn look_up(oids: &[u32], session: &mut Session, stop: &Stop) -> Result<HashMap<u32, TypeEntry>> {
    if oids.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<String> = oids.iter().map(u32::to_string).collect();
    let rows = session.rows(
        &format!(
            "SELECT t.oid, pg_catalog.format_type(t.oid, NULL), e.oid IS NOT NULL, \
             pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname), \
             t.typtype = 'c' OR t.typtype = 'p', \
             t.typname = 'vector' AND EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d \
             JOIN pg_catalog.pg_extension AS x ON x.oid = d.refobjid \
             WHERE d.objid = t.oid AND d.deptype = 'e' AND x.extname = 'vector'), \
             CASE e.typtype WHEN 'd' THEN e.typbasetype END, e.typtypmod \
             FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace \
             LEFT JOIN pg_catalog.pg_type AS e ON e.typarray = t.oid WHERE t.oid IN ({})",
            list.join(", ")
        ),
        &[],
        stop,
    )?;
    let parse = |row: Vec<Option<String>>| match row.as_slice() {
        [
            Some(oid),
            Some(name),
            Some(is_array),
            Some(literal),
            Some(is_composite),
            Some(is_vector),
            domain_base,
            domain_modifier,
        ] => {
            let decoding = match (is_array.as_str(), is_vector.as_str()) {
                ("t", _) => domain_list(domain_base.as_deref(), domain_modifier.as_deref())
                    .unwrap_or(Decoding::CastList),
                (_, "t") => Decoding::Vector,
                _ => Decoding::Cast,
            };
            let entry = TypeEntry {
                name: name.clone(),
                literal: literal.clone(),
                decoding,
                is_composite: is_composite == "t",
            };
            Some((oid.parse().ok()?, entry))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(parse).collect())
}

/// An array of a domain, which travels as one of the type that the domain is made of.
fn domain_list(base: Option<&str>, modifier: Option<&str>) -> Option<Decoding> {
    let element = built_in(base?.parse().ok()?, modifier?.parse().ok()?)?.decoding;
    let is_scalar = !matches!(
        element,
        Decoding::List(_) | Decoding::Cast | Decoding::CastList
    );
    is_scalar.then(|| Decoding::List(Box::new(element)))
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
            (39, 0, Decoding::Cast),
            (1000, -1000, Decoding::Cast),
        ] {
            assert_eq!(numeric(modifier(precision, scale)), decoding);
        }
        assert_eq!(numeric(-1), Decoding::AnyNumeric);
    }

    #[test]
    fn arrays_are_lists_of_what_their_elements_are() {
        let entry = built_in(1007, -1).expect("int4[]");
        assert_eq!(entry.name, "int4[]");
        assert_eq!(entry.decoding, Decoding::List(Box::new(Decoding::Int4)));
        assert_eq!(built_in(0, -1), None);
    }
}
