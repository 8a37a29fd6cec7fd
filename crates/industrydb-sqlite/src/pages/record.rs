//! A record, as bytes: where its fields begin, and what they are.
//!
//! <https://www.sqlite.org/fileformat2.html#record_format>. As in a page, what does not lie in the bytes is `None`.

use crate::cursor::Cell;

/// How many bytes a value has, by a serial type of one byte; the numbers behind 11 are of texts and blobs.
const LENGTHS: [u8; 128] = {
    let mut lengths = [0; 128];
    let mut serial = 0;
    while serial < 128 {
        lengths[serial as usize] = match serial {
            1..=4 => serial,
            5 => 6,
            6 | 7 => 8,
            12.. => (serial - 12) / 2,
            _ => 0,
        };
        serial += 1;
    }
    lengths
};

/// Where the first fields of a record stand; it serves one record after the other.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    at: Vec<At>,
    /// How many of them the record has: records that are older than a column are shorter.
    found: usize,
    /// Where the last one ends.
    pub(crate) end: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct At {
    serial: u32,
    start: u32,
}

impl Fields {
    /// For the first `wanted` fields of records.
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            at: vec![At::default(); wanted],
            ..Self::default()
        }
    }

    /// How many fields are looked for.
    pub(crate) fn wanted(&self) -> usize {
        self.at.len()
    }

    /// How long the header of a record is, itself included.
    pub(crate) fn header(bytes: &[u8], payload: usize) -> Option<usize> {
        let (header, _) = varint(bytes)?;
        usize::try_from(header)
            .ok()
            .filter(|header| *header <= payload)
    }

    /// Reads the header of a record of `payload` bytes, of which `bytes` has at least the header.
    #[inline]
    pub(crate) fn parse(&mut self, bytes: &[u8], payload: usize) -> Option<()> {
        let (header, types) = varint(bytes)?;
        let header = usize::try_from(header)
            .ok()
            .filter(|header| *header <= payload)?;
        let mut types = types.get(..header.checked_sub(bytes.len() - types.len())?)?;
        let mut end = header;
        let mut found = 0;
        for at in &mut self.at {
            let Some((first, rest)) = types.split_first() else {
                break;
            };
            let (serial, length);
            if *first < 0x80 {
                (serial, length) = (u32::from(*first), usize::from(LENGTHS[usize::from(*first)]));
                types = rest;
            } else {
                let (large, rest) = varint(types)?;
                serial = u32::try_from(large).ok()?;
                length = length_of(serial);
                types = rest;
            }
            *at = At {
                serial,
                start: u32::try_from(end).ok()?,
            };
            end += length;
            found += 1;
        }
        self.found = found;
        self.end = end;
        let is_all = types.is_empty();
        (end <= payload && (!is_all || end == payload)).then_some(())
    }

    /// A field of the record that was [parsed](Self::parse), or the default if it has no such field; `None` where its value
    /// does not lie in the bytes.
    #[expect(
        clippy::inline_always,
        reason = "the kind of a value is then found only once"
    )]
    #[inline(always)]
    pub(crate) fn value<'a>(
        &self,
        index: usize,
        bytes: &'a [u8],
        default: Cell<'a>,
    ) -> Option<Cell<'a>> {
        if index >= self.found {
            return Some(default);
        }
        let At { serial, start } = *self.at.get(index)?;
        let tail = bytes.get(start as usize..)?;
        Some(match serial {
            1..=6 => Cell::Integer(integer(tail, LENGTHS[serial as usize])?),
            7 => {
                let real = f64::from_be_bytes(*tail.first_chunk()?);
                // As SQLite reads it.
                if real.is_nan() {
                    Cell::Null
                } else {
                    Cell::Real(real)
                }
            }
            8 => Cell::Integer(0),
            9 => Cell::Integer(1),
            0 | 10 | 11 => Cell::Null,
            _ => {
                let bytes = tail.get(..length_of(serial))?;
                if serial % 2 == 0 {
                    Cell::Blob(bytes)
                } else {
                    Cell::Text(bytes)
                }
            }
        })
    }
}

#[inline]
fn length_of(serial: u32) -> usize {
    match LENGTHS.get(serial as usize) {
        Some(length) => usize::from(*length),
        None => (serial as usize - 12) / 2,
    }
}

/// An integer of some of the first bytes. Where there are eight, what is too much is shifted out.
#[inline]
fn integer(bytes: &[u8], length: u8) -> Option<i64> {
    if let Some(eight) = bytes.first_chunk() {
        return Some(i64::from_be_bytes(*eight) >> (64 - 8 * u32::from(length)));
    }
    let bytes = bytes.get(..usize::from(length))?;
    let start = if *bytes.first()? < 0x80 { 0 } else { -1 };
    Some(
        bytes
            .iter()
            .fold(start, |number: i64, byte| number << 8 | i64::from(*byte)),
    )
}

/// A number of one to nine bytes, of which all but the ninth say by their highest bit whether more follow.
#[inline]
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [first, rest @ ..] if *first < 0x80 => Some((u64::from(*first), rest)),
        [first, second, rest @ ..] if *second < 0x80 => {
            Some((u64::from(*first & 0x7f) << 7 | u64::from(*second), rest))
        }
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number: u64 = 0;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((number << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if *byte < 0x80 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header and values of `INSERT INTO t VALUES (NULL, 1, -2, 300, 70000, 0.5, 'ab', x'00')`, from a file's page.
    const RECORD: &[u8] = &[
        9, 0, 9, 1, 2, 3, 7, 17, 14, 0xfe, 1, 44, 1, 17, 112, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0, b'a',
        b'b', 0,
    ];

    #[test]
    fn every_serial_type_comes_out() {
        let mut fields = Fields::new(9);
        fields.parse(RECORD, RECORD.len()).expect("a record");
        let values: Vec<_> = (0..9)
            .map(|index| {
                fields
                    .value(index, RECORD, Cell::Blob(b"none"))
                    .expect("there")
            })
            .collect();
        let expected = [
            Cell::Null,
            Cell::Integer(1),
            Cell::Integer(-2),
            Cell::Integer(300),
            Cell::Integer(70_000),
            Cell::Real(0.5),
            Cell::Text(b"ab"),
            Cell::Blob(b"\0"),
        ];
        let expected: Vec<_> = expected.into_iter().chain([Cell::Blob(b"none")]).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn a_record_that_is_cut_short_or_too_long_is_none() {
        let mut fields = Fields::new(9);
        for end in 0..RECORD.len() {
            assert_eq!(fields.parse(&RECORD[..end], end), None, "{end}");
        }
        assert_eq!(fields.parse(RECORD, RECORD.len() + 1), None);
        // Fewer fields are wanted than there are: what is behind them is not looked at.
        let mut first = Fields::new(2);
        assert_eq!(first.parse(RECORD, RECORD.len()), Some(()));
        assert_eq!(first.end, 9);
    }

    #[test]
    fn integers_of_all_lengths_keep_their_sign() {
        for (bytes, expected) in [
            (&[0x80][..], -128),
            (&[0x7f], 127),
            (&[0xff, 0xfe], -2),
            (&[0x80, 0, 0], -8_388_608),
            (&[0x7f, 0xff, 0xff, 0xff], i64::from(i32::MAX)),
            (&[0x80, 0, 0, 0, 0, 0], -(1 << 47)),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN),
        ] {
            let length = u8::try_from(bytes.len()).expect("short");
            assert_eq!(integer(bytes, length), Some(expected));
            let behind = [bytes, &[0x5a; 8]].concat();
            assert_eq!(integer(&behind, length), Some(expected));
        }
    }

    #[test]
    fn varints_have_up_to_nine_bytes() {
        for (bytes, expected) in [
            (&[0][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x81, 0], Some(128)),
            (&[0xff, 0xff, 0x7f], Some(0x001f_ffff)),
            (&[0xff; 9], Some(u64::MAX)),
            (&[0xff; 8], None),
            (&[], None),
        ] {
            assert_eq!(varint(bytes).map(|(number, _)| number), expected);
        }
    }
}
