//! What the fuzzer calls: decoders given any bytes return rows or errors, and rows that fit
//! together.

use industrydb_core::{ChunkColumn, ColumnType, Field};

use crate::columns::ColumnDecoder;
use crate::read::rows::Rows;
use crate::types::Decoding;

/// One decoding of each kind.
fn decodings() -> Vec<Decoding> {
    use ColumnType as T;
    let number = || Decoding::AnyNumeric;
    let converted = |from, to| Decoding::Converted(Box::new(from), to);
    let row = [
        ("a", Decoding::Int4),
        ("b", number()),
        ("c", Decoding::list(Decoding::Text)),
    ];
    let row = row.map(|(name, decoding)| (name.to_owned(), decoding));
    let decimal = T::Decimal {
        precision: 10,
        scale: 2,
    };
    vec![
        Decoding::Int4,
        Decoding::Text,
        number(),
        Decoding::Numeric {
            precision: 15,
            scale: 2,
        },
        Decoding::list(Decoding::Int4),
        Decoding::list(number()),
        Decoding::list(Decoding::Interval),
        Decoding::Composite(row.to_vec()),
        Decoding::list(Decoding::Composite(row.to_vec())),
        Decoding::Bool,
        Decoding::Int2,
        Decoding::Int8,
        Decoding::Oid,
        Decoding::Float4,
        Decoding::Float8,
        Decoding::Date,
        Decoding::Time,
        Decoding::Timestamp { utc: true },
        Decoding::Interval,
        Decoding::Uuid,
        Decoding::Bytea,
        Decoding::Jsonb,
        converted(number(), T::Float64),
        converted(number(), T::Float32),
        converted(number(), T::Int64),
        converted(number(), decimal.clone()),
        converted(number(), T::String),
        converted(Decoding::Float8, decimal.clone()),
        converted(Decoding::Text, decimal),
        converted(Decoding::Text, T::Float64),
        converted(Decoding::Text, T::Date),
        converted(Decoding::Text, T::Time),
        converted(Decoding::Text, T::DATETIME),
        converted(Decoding::Timestamp { utc: false }, T::Date),
        converted(Decoding::Interval, T::DURATION),
    ]
}

/// Checks that a column has as many rows as went in, and memory of the type that it says.
fn check(column: &ChunkColumn, height: usize) {
    assert_eq!(column.array.len(), height);
    assert_eq!(*column.array.dtype(), column.column_type.arrow());
    // Printing visits every value that a view or an offset leads to.
    assert!(!format!("{:?}", column.array).is_empty());
}

/// The first byte names the type; the others are fields, each behind a byte with its length, 255
/// for a NULL.
pub fn value(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let decodings = decodings();
    let mut decoder = ColumnDecoder::new(&decodings[usize::from(*first) % decodings.len()]);
    let mut height = 0;
    while let Some((length, behind)) = rest.split_first() {
        let length = usize::from(*length);
        if length == 255 {
            decoder.push_null();
            rest = behind;
        } else {
            let (field, behind) = behind.split_at(length.min(behind.len()));
            if decoder.decode(field).is_err() {
                return; // the read ends with its first error
            }
            rest = behind;
        }
        height += 1;
    }
    check(&decoder.finish(), height);
}

/// The first byte names the first of three columns; the others are messages, each behind two bytes
/// with its length.
pub fn copy(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let all = decodings();
    let some = (0..3).map(|n| all[(usize::from(*first) + n) % all.len()].clone());
    let some: Vec<Decoding> = some.collect();
    let fields: Vec<Field> = some
        .iter()
        .map(|decoding| Field::new("x", "", decoding.column_type()))
        .collect();
    let mut rows = Rows::new(&fields, &some);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (message, behind) = behind.split_at(length.min(behind.len()));
        if rows.decode(message).is_err() {
            return;
        }
        rest = behind;
    }
    let counted = rows.height;
    let Ok(chunk) = rows.finish(Some(counted)) else {
        return;
    };
    for column in &chunk.columns {
        check(column, chunk.height);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What the fuzzer begins with, and what it once found, is decoded or refused.
    #[test]
    fn seeds_are_rows_or_errors() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        for (name, decode) in [("value", super::value as fn(&[u8])), ("copy", super::copy)] {
            let seeds: Vec<_> = std::fs::read_dir(folder.join(name))
                .expect("seeds")
                .collect();
            assert!(seeds.len() > 10, "{name}");
            for seed in seeds {
                decode(&std::fs::read(seed.expect("a seed").path()).expect("bytes"));
            }
        }
    }
}
