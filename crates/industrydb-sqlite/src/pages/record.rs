//! Parses a record: where its fields begin, and their values.
//!
//! <https://www.sqlite.org/fileformat2.html#record_format>. As in a page, what does not lie in the
//! bytes is `None`.

use crate::ffi::row::Cell;

/// Length of a value in bytes, by a serial type of one byte; the serial types above 11 are text and
/// blobs.
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

/// Rows whose records lie in the same bytes, with the positions of each record's first fields.
#[derive(Debug)]
pub(crate) struct Block {
    /// Number of first fields that are parsed of each record.
    wanted: usize,
    /// Positions of the fields, row after row.
    at: Vec<At>,
    rowids: Vec<i64>,
    /// Offset of the end of the last record's last wanted field, from where the record begins.
    pub(crate) end: usize,
}

/// Position of a field's value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    serial: u32,
    /// Offset from the beginning of the bytes.
    start: u32,
}

impl At {
    /// A field that the record lacks, because the record is older than the column.
    const MISSING: Self = Self {
        serial: u32::MAX,
        start: 0,
    };
}

/// Finds one field of a record, which begins at `start` and has `payload` bytes; returns its
/// position, and the offset of its end from where the record begins. The bytes behind the header
/// may be missing. `None` if the header is damaged.
#[inline]
pub(crate) fn find(
    bytes: &[u8],
    start: usize,
    payload: usize,
    index: usize,
) -> Option<(At, usize)> {
    let (mut types, mut end) = header(bytes.get(start..)?, payload)?;
    let mut found = At::MISSING;
    for _ in 0..=index {
        if types.is_empty() {
            found = At::MISSING;
            break;
        }
        let (serial, rest) = varint(types)?;
        let serial = u32::try_from(serial).ok().filter(|it| *it < u32::MAX)?;
        found = At {
            serial,
            start: u32::try_from(start + end).ok()?,
        };
        end += length_of(serial);
        types = rest;
    }
    let is_all = types.is_empty();
    (end <= payload && (!is_all || end == payload)).then_some((found, end))
}

/// Parses the header of a record: returns the serial types of its fields, and the header's length.
#[inline]
fn header(record: &[u8], payload: usize) -> Option<(&[u8], usize)> {
    let (header, types) = varint(record)?;
    let header = usize::try_from(header)
        .ok()
        .filter(|header| *header <= payload)?;
    let types = types.get(..header.checked_sub(record.len() - types.len())?)?;
    // Every table has a column.
    (!types.is_empty()).then_some((types, header))
}

impl Block {
    /// Creates an empty block for the first `wanted` fields of records.
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            wanted,
            at: Vec::new(),
            rowids: Vec::new(),
            end: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rowids.len()
    }

    /// Returns whether the block has enough rows to be handed over: a large page may have many
    /// thousands of rows, of many columns each.
    pub(crate) fn is_full(&self) -> bool {
        /// Number of fields that take about a megabyte.
        const FIELDS: usize = 128 << 10;
        self.at.len() >= FIELDS
    }

    pub(crate) fn clear(&mut self) {
        self.at.clear();
        self.rowids.clear();
    }

    /// Adds a row by parsing the header of its record, which begins at `start` and has `payload`
    /// bytes. The bytes behind the header may be missing. Returns `None` if the header is damaged.
    #[inline]
    pub(crate) fn push(
        &mut self,
        rowid: i64,
        bytes: &[u8],
        start: usize,
        payload: usize,
    ) -> Option<()> {
        let (mut types, mut end) = header(bytes.get(start..)?, payload)?;
        let first = self.at.len();
        self.at.resize(first + self.wanted, At::MISSING);
        for at in self.at.get_mut(first..)? {
            let Some((byte, rest)) = types.split_first() else {
                break;
            };
            let (serial, length);
            if *byte < 0x80 {
                (serial, length) = (u32::from(*byte), usize::from(LENGTHS[usize::from(*byte)]));
                types = rest;
            } else {
                let (large, rest) = varint(types)?;
                serial = u32::try_from(large)
                    .ok()
                    .filter(|serial| *serial < u32::MAX)?;
                length = length_of(serial);
                types = rest;
            }
            *at = At {
                serial,
                start: u32::try_from(start + end).ok()?,
            };
            end += length;
        }
        self.rowids.push(rowid);
        self.end = end;
        let is_all = types.is_empty();
        (end <= payload && (!is_all || end == payload)).then_some(())
    }

    /// Returns the rowid of a row.
    #[inline]
    pub(crate) fn rowid(&self, row: usize) -> Option<i64> {
        self.rowids.get(row).copied()
    }

    /// Returns the value of a row's field, as [`At::value`] does.
    #[expect(
        clippy::inline_always,
        reason = "the kind of a value is then found only once"
    )]
    #[inline(always)]
    pub(crate) fn field<'a>(
        &self,
        row: usize,
        index: usize,
        is_real: bool,
        bytes: &'a [u8],
        default: Cell<'a>,
    ) -> Option<Cell<'a>> {
        let at = self.at.get(row * self.wanted + index)?;
        at.value(is_real, bytes, default)
    }
}

impl At {
    /// Returns the value, or the default if the record has no such field; `None` if the value does
    /// not lie in the bytes. With `is_real`, integers stand for the floats that they equal.
    #[expect(
        clippy::inline_always,
        reason = "the kind of a value is then found only once"
    )]
    #[inline(always)]
    pub(crate) fn value<'a>(
        self,
        is_real: bool,
        bytes: &'a [u8],
        default: Cell<'a>,
    ) -> Option<Cell<'a>> {
        let Self { serial, start } = self;
        let tail = bytes.get(start as usize..)?;
        // The lengths of a column's integers, and which of its floats are stored as integers,
        // follow no pattern that a processor can predict. So the code does not branch on them.
        if let Some(eight) = tail.first_chunk()
            && (1..=9).contains(&serial)
            && (is_real || serial != 7)
        {
            let eight = i64::from_be_bytes(*eight);
            let Integer { shift, keep, add } = INTEGERS[serial as usize % INTEGERS.len()];
            let integer = (eight >> shift) & keep | add;
            return Some(if is_real {
                let real = if serial == 7 {
                    f64::from_bits(eight.cast_unsigned())
                } else {
                    float(integer)
                };
                real_or_null(real)
            } else {
                Cell::Integer(integer)
            });
        }
        Some(match serial {
            1..=6 => whole(integer(tail, LENGTHS[serial as usize])?, is_real),
            7 => real_or_null(f64::from_be_bytes(*tail.first_chunk()?)),
            8 => whole(0, is_real),
            9 => whole(1, is_real),
            0 | 10 | 11 => Cell::Null,
            u32::MAX => default,
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

/// Operations that turn the eight bytes at a value's start into an integer.
#[derive(Clone, Copy)]
struct Integer {
    shift: u32,
    keep: i64,
    add: i64,
}

/// Operations by serial type.
const INTEGERS: [Integer; 16] = {
    let none = Integer {
        shift: 0,
        keep: 0,
        add: 0,
    };
    let mut integers = [none; 16];
    let mut serial = 1;
    while serial <= 6 {
        integers[serial].shift = 64 - 8 * LENGTHS[serial] as u32;
        integers[serial].keep = -1;
        serial += 1;
    }
    integers[9].add = 1;
    integers
};

/// Returns a float as SQLite reads it: NaN is NULL.
#[inline]
fn real_or_null<'a>(real: f64) -> Cell<'a> {
    if real.is_nan() {
        Cell::Null
    } else {
        Cell::Real(real)
    }
}

#[inline]
fn whole<'a>(integer: i64, is_real: bool) -> Cell<'a> {
    if is_real {
        Cell::Real(float(integer))
    } else {
        Cell::Integer(integer)
    }
}

/// Converts a stored integer that stands for a float, as SQLite does.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "it was made of a float")]
fn float(integer: i64) -> f64 {
    integer as f64
}

/// Returns the length of a record's header, including the length itself; `None` if that exceeds the
/// `payload` bytes of the record.
pub(crate) fn header_length(bytes: &[u8], payload: usize) -> Option<usize> {
    let (header, _) = varint(bytes)?;
    usize::try_from(header)
        .ok()
        .filter(|header| *header <= payload)
}

#[inline]
fn length_of(serial: u32) -> usize {
    match LENGTHS.get(serial as usize) {
        Some(length) => usize::from(*length),
        None => (serial as usize - 12) / 2,
    }
}

/// Parses a signed integer of `length` bytes, where fewer than eight bytes are left.
fn integer(bytes: &[u8], length: u8) -> Option<i64> {
    let bytes = bytes.get(..usize::from(length))?;
    let start = if *bytes.first()? < 0x80 { 0 } else { -1 };
    Some(
        bytes
            .iter()
            .fold(start, |number: i64, byte| number << 8 | i64::from(*byte)),
    )
}

/// Parses an integer of one to nine bytes, and returns it with the bytes behind it. The highest bit
/// of each byte but the ninth says whether more follow.
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

    /// The header and values of `INSERT INTO t VALUES (NULL, 1, -2, 300, 70000, 0.5, 'ab', x'00')`,
    /// from a file's page.
    const RECORD: &[u8] = &[
        9, 0, 9, 1, 2, 3, 7, 17, 14, 0xfe, 1, 44, 1, 17, 112, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0, b'a',
        b'b', 0,
    ];

    #[test]
    fn every_serial_type_comes_out() {
        let mut block = Block::new(9);
        let bytes = [&[0xaa, 0xaa], RECORD].concat();
        block.push(7, &bytes, 2, RECORD.len()).expect("a record");
        let none = Cell::Blob(b"none");
        let value = |index| block.field(0, index, false, &bytes, none).expect("there");
        let values: Vec<_> = (0..9).map(value).collect();
        let expected = [
            Cell::Null,
            Cell::Integer(1),
            Cell::Integer(-2),
            Cell::Integer(300),
            Cell::Integer(70_000),
            Cell::Real(0.5),
            Cell::Text(b"ab"),
            Cell::Blob(b"\0"),
            none,
        ];
        assert_eq!(values, expected);
        assert_eq!((block.len(), block.rowid(0)), (1, Some(7)));
        block.clear();
        assert_eq!(block.len(), 0);
    }

    #[test]
    fn a_record_without_a_field_is_none() {
        let mut block = Block::new(2);
        assert_eq!(block.push(1, &[1, 0, 0], 0, 1), None);
        assert_eq!(block.push(1, &[2, 0, 0], 0, 2), Some(()));
    }

    #[test]
    fn a_record_that_is_cut_short_or_too_long_is_none() {
        let mut block = Block::new(9);
        for end in 0..RECORD.len() {
            assert_eq!(block.push(0, &RECORD[..end], 0, end), None, "{end}");
        }
        assert_eq!(block.push(0, RECORD, 0, RECORD.len() + 1), None);
        // Fields behind the wanted ones are not parsed.
        let mut first = Block::new(2);
        assert_eq!(first.push(0, RECORD, 0, RECORD.len()), Some(()));
        assert_eq!(first.end, 9);
    }

    #[test]
    fn integers_of_all_lengths_keep_their_sign() {
        for (serial, bytes, expected) in [
            (1, &[0x80][..], -128),
            (1, &[0x7f], 127),
            (2, &[0xff, 0xfe], -2),
            (3, &[0x80, 0, 0], -8_388_608),
            (4, &[0x7f, 0xff, 0xff, 0xff], i64::from(i32::MAX)),
            (5, &[0x80, 0, 0, 0, 0, 0], -(1 << 47)),
            (6, &[0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN),
            (8, &[], 0),
            (9, &[], 1),
        ] {
            for behind in [&[][..], &[0x5a; 8]] {
                let record = [&[2, serial], bytes].concat();
                let bytes = [&record, behind].concat();
                let mut block = Block::new(1);
                block.push(0, &bytes, 0, record.len()).expect("a record");
                let value = |is_real| block.field(0, 0, is_real, &bytes, Cell::Null);
                assert_eq!(value(false), Some(Cell::Integer(expected)), "{serial}");
                assert_eq!(value(true), Some(Cell::Real(float(expected))), "{serial}");
            }
        }
    }

    #[test]
    fn a_float_that_is_no_number_is_null() {
        let record = [&[2, 7][..], &f64::NAN.to_be_bytes()].concat();
        let mut block = Block::new(1);
        block.push(0, &record, 0, record.len()).expect("a record");
        for is_real in [false, true] {
            assert_eq!(
                block.field(0, 0, is_real, &record, Cell::Integer(0)),
                Some(Cell::Null)
            );
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
