//! Entry points of the fuzzer: given any bytes, the parsers, decoders and unpackers return an
//! error, or columns of equal length with valid data.

use industrydb_core::{ChunkColumn, ColumnType, Field};

use crate::config::options::ZeroDates;
use crate::read::rows::Rows;
use crate::session::login::any_login;
use crate::types::{Decoding, decoding, type_of};
use crate::wire::compression::Compression;
use crate::wire::errors::Report;
use crate::wire::packet;

/// Returns a decoding of each kind.
fn decodings() -> Vec<Decoding> {
    use ColumnType as T;
    let decimal = |precision, scale| Decoding::Decimal { precision, scale };
    let converted = |from, to| Decoding::Converted(Box::new(from), to);
    vec![
        Decoding::Int32,
        Decoding::Text,
        Decoding::Date,
        Decoding::Datetime { utc: false },
        Decoding::Datetime { utc: true },
        Decoding::Time,
        decimal(15, 2),
        decimal(38, 30),
        Decoding::Number,
        Decoding::Float32,
        Decoding::Float64,
        Decoding::Rounded { digits: 2 },
        Decoding::ShortRounded { digits: 2 },
        Decoding::Int8,
        Decoding::Int16,
        Decoding::Int64,
        Decoding::UInt8,
        Decoding::UInt16,
        Decoding::UInt32,
        Decoding::UInt64,
        Decoding::Bit,
        Decoding::Bits,
        Decoding::Bytes,
        Decoding::Geometry,
        Decoding::Vector,
        converted(Decoding::Text, T::Date),
        converted(Decoding::Text, T::Float64),
        converted(Decoding::Date, T::String),
        converted(Decoding::Datetime { utc: false }, T::Date),
        converted(Decoding::Number, T::Float64),
        converted(decimal(15, 2), T::Int64),
        converted(Decoding::Time, T::String),
        converted(Decoding::Int64, T::Boolean),
    ]
}

/// Returns the packets in some bytes, each behind two bytes with its length.
fn packets(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (packet, behind) = behind.split_at(length.min(behind.len()));
        packets.push(packet);
        rest = behind;
    }
    packets
}

/// Checks that a column has as many rows as were decoded, and an array of the type that it declares.
fn check(column: &ChunkColumn, height: usize) {
    assert_eq!(column.array.len(), height);
    assert_eq!(*column.array.dtype(), column.column_type.arrow());
    // Printing visits every value that a view or an offset leads to.
    assert!(!format!("{:?}", column.array).is_empty());
}

/// Decodes rows of three columns. The first byte selects the first column's decoding, and whether
/// dates that no calendar has are NULL; the others are packets.
pub fn rows(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let all = decodings();
    let some = (0..3).map(|n| all[(usize::from(*first) + n) % all.len()].clone());
    let some: Vec<Decoding> = some.collect();
    let fields = some
        .iter()
        .map(|decoding| Field::new("x", "", decoding.column_type()));
    let fields: Vec<Field> = fields.collect();
    let zero_dates = if *first < 128 {
        ZeroDates::Error
    } else {
        ZeroDates::Null
    };
    let mut rows = Rows::new(&fields[..], &some[..], zero_dates);
    for packet in packets(rest) {
        if rows.decode(packet).is_err() {
            return; // the read ends with its first error
        }
    }
    let chunk = rows.take();
    for column in &chunk.columns {
        check(column, chunk.height);
    }
}

/// Parses a packet of the kind that the first byte selects, or a login's packets.
pub fn handshake(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    match first % 6 {
        0 => any_login(&packets(rest)),
        1 | 2 => {
            if let Ok(column) = packet::column(rest, first % 6 == 1) {
                assert!(!type_of(&column).is_empty());
                decoding(&column);
            }
        }
        3 => drop(packet::ended(rest)),
        4 => drop((packet::not_prepared(rest), packet::prepared(rest))),
        _ => {
            if let Ok(report) = Report::new(rest) {
                let told = (report.login_error(), report.query_error());
                assert!(!format!("{told:?} {:?}", report.refused()).is_empty());
            }
        }
    }
}

/// Unpacks a compressed stream, which arrives in pieces. The first byte is the length of each, and
/// the second that of the room for what they become.
pub fn compression(bytes: &[u8]) {
    let [piece, room, rest @ ..] = bytes else {
        return;
    };
    let mut compression = Compression::new(b"");
    let mut out = vec![0; usize::from(*room) + 1];
    for piece in rest.chunks(usize::from(*piece) + 1) {
        compression.room()[..piece.len()].copy_from_slice(piece);
        compression.arrived(piece.len());
        loop {
            match compression.unpack(&mut out) {
                Ok(0) => break,
                Ok(count) => assert!(count <= out.len()),
                Err(_) => return, // the session ends with its first error
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Every seed of the fuzzer, former findings included, gives rows or an error, and no panic.
    #[test]
    fn seeds_are_rows_or_errors() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        for (name, parse) in [
            ("rows", super::rows as fn(&[u8])),
            ("handshake", super::handshake),
            ("compression", super::compression),
        ] {
            let seeds: Vec<_> = std::fs::read_dir(folder.join(name))
                .expect("seeds")
                .collect();
            assert!(seeds.len() > 10, "{name}");
            for seed in seeds {
                parse(&std::fs::read(seed.expect("a seed").path()).expect("bytes"));
            }
        }
    }
}
