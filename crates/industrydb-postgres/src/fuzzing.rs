//! Entry points of the fuzzer: given any bytes, the decoders return an error, or columns of equal
//! length with valid data.

use industrydb_core::{ChunkColumn, ColumnType, Field};

use crate::columns::ColumnDecoder;
use crate::read::rows::Rows;
use crate::types::Decoding;

/// Returns a decoding of each kind.
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

/// Checks that a column has as many rows as were decoded, and an array of the type that it
/// declares.
fn check(column: &ChunkColumn, height: usize) {
    assert_eq!(column.array.len(), height);
    assert_eq!(*column.array.dtype(), column.column_type.arrow());
    // Printing visits every value that a view or an offset leads to.
    assert!(!format!("{:?}", column.array).is_empty());
}

/// Decodes fields of one column. The first byte selects the decoding; the other bytes are fields,
/// each behind one byte with its length, or 255 for NULL.
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

/// Decodes rows of three columns. The first byte selects the first column's decoding; the other
/// bytes are row messages, each behind two bytes with its length.
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

    /// Every seed of the fuzzer, former findings included, gives rows or an error, and no panic.
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
