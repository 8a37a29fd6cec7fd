//! Builders of columns of text and bytes, in the layout that Polars itself uses, so that Polars
//! adopts them without a copy.
//!
//! A row is a 16-byte view: up to 12 bytes stand in the view itself; longer values stand in one of
//! the column's buffers, and the view holds their length, first four bytes, buffer and offset.
//! Format: <https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout>

use polars_arrow::array::{Array, BinaryViewArray, View};
use polars_arrow::datatypes::ArrowDataType;
use polars_buffer::Buffer;

use super::memory::Values;
use super::repeats::Repeats;
use super::utf8::is_utf8;
use super::validity::Validity;
use crate::base::error::{CellError, CellResult};

/// Largest length of a value that is stored in its view.
const MAX_INLINE: usize = View::MAX_INLINE_SIZE as usize;

/// Size of the first buffer. Each further buffer is twice as large, so that a small result costs
/// little.
const FIRST_BUFFER_BYTES: usize = 4 << 10;
/// Size up to which buffers grow. The unused rest of a buffer is never touched and costs nothing.
const LAST_BUFFER_BYTES: usize = 32 << 20;

/// The high bit of every byte after the length in an inline view.
const NON_ASCII: u128 = 0x8080_8080_8080_8080_8080_8080_0000_0000;

#[cfg(target_endian = "big")]
compile_error!("views are put together for little-endian machines, as Polars itself is");

/// Builder of a column of text.
#[derive(Default)]
pub struct TextBuilder(Views);

impl TextBuilder {
    /// Appends a text.
    ///
    /// # Errors
    ///
    /// If the bytes are not UTF-8.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> CellResult {
        if bytes.len() <= MAX_INLINE {
            let view = inline_view(bytes);
            if view & NON_ASCII != 0 {
                reject_other_than_text(bytes)?;
            }
            self.0.push_view(view);
        } else if !self.0.push_again(bytes) {
            if !bytes.is_ascii() {
                reject_other_than_text(bytes)?;
            }
            self.0.push_long(bytes);
        }
        Ok(())
    }

    /// Returns how many bytes the texts have that are not stored in their views.
    pub fn long_bytes(&self) -> usize {
        self.0.long_bytes()
    }

    /// Appends a text that is known to be UTF-8.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.0.push(text.as_bytes());
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.0.push_null();
    }

    /// Returns the finished column.
    pub fn finish(self) -> Box<dyn Array> {
        let bytes = self.0.finish();
        // SAFETY: only UTF-8 came in, through `push` and `push_str`.
        unsafe { bytes.to_utf8view_unchecked() }.boxed()
    }
}

/// Builder of a column of bytes.
#[derive(Default)]
pub struct BinaryBuilder(Views);

impl BinaryBuilder {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// Returns how many bytes the values have that are not stored in their views.
    pub fn long_bytes(&self) -> usize {
        self.0.long_bytes()
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.0.push_null();
    }

    /// Returns the finished column.
    pub fn finish(self) -> Box<dyn Array> {
        self.0.finish().boxed()
    }
}

/// Common part of the builders of text and bytes.
#[derive(Default)]
struct Views {
    rows: Values<View>,
    full: Vec<Buffer<u8>>,
    full_bytes: usize,
    current: Values<u8>,
    repeats: Repeats,
    /// Number of bytes of the values whose view points to an equal value.
    repeated_bytes: usize,
    validity: Validity,
}

impl Views {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if bytes.len() <= MAX_INLINE {
            self.push_view(inline_view(bytes));
        } else if !self.push_again(bytes) {
            self.push_long(bytes);
        }
    }

    /// Appends a long value as the view of an equal one, if one is known; returns whether it is.
    #[inline]
    fn push_again(&mut self, bytes: &[u8]) -> bool {
        !self.repeats.rests() && self.push_known(bytes)
    }

    #[inline(never)]
    fn push_known(&mut self, bytes: &[u8]) -> bool {
        let (full, current) = (&self.full, &self.current);
        let is_equal = |view: View| {
            let buffer = full
                .get(view.buffer_idx as usize)
                .map_or(current.as_slice(), Buffer::as_slice);
            let start = view.offset as usize;
            buffer.get(start..start + bytes.len()) == Some(bytes)
        };
        let Some(view) = self.repeats.find(bytes, is_equal) else {
            return false;
        };
        self.repeated_bytes += bytes.len();
        self.push_valid(view);
        true
    }

    #[inline]
    fn push_null(&mut self) {
        self.validity.push_null(self.rows.len());
        self.rows.push(View::default());
    }

    #[inline]
    fn push_view(&mut self, bits: u128) {
        // SAFETY: a view is sixteen bytes without padding, and `bits` was put together as one.
        self.push_valid(unsafe { std::mem::transmute::<u128, View>(bits) });
    }

    #[inline]
    fn push_valid(&mut self, view: View) {
        self.rows.push(view);
        self.validity.push_valid();
    }

    #[inline]
    fn push_long(&mut self, bytes: &[u8]) {
        if !self.current.has_room(bytes.len()) && !self.current.open(bytes.len()) {
            self.next_buffer(bytes.len());
        }
        // Both numbers fit: a database's values are below 4 GiB, a buffer is no longer than one of
        // them or 32 MiB, and 2³² buffers do not fit into memory.
        #[expect(clippy::cast_possible_truncation)]
        let (buffer, offset) = (self.full.len() as u32, self.current.len() as u32);
        self.current.extend_from_slice(bytes);
        // SAFETY: the callers pass only values longer than `MAX_INLINE` bytes.
        let view = unsafe { View::new_noninline_unchecked(bytes, buffer, offset) };
        self.repeats.note(view);
        self.push_valid(view);
    }

    #[cold]
    #[inline(never)]
    fn next_buffer(&mut self, needed: usize) {
        let size = (self.current.capacity() * 2).clamp(FIRST_BUFFER_BYTES, LAST_BUFFER_BYTES);
        self.close_buffer();
        self.current = Values::with_capacity(size.max(needed));
        self.current.open(needed);
    }

    /// Returns how many bytes the long values have. A repeated value counts each time, since a
    /// caller who converts the column to another layout stores it each time.
    fn long_bytes(&self) -> usize {
        self.full_bytes + self.current.len() + self.repeated_bytes
    }

    fn close_buffer(&mut self) {
        let full = std::mem::take(&mut self.current).finish();
        if !full.is_empty() {
            self.full_bytes += full.len();
            self.full.push(full.into());
        }
    }

    fn finish(mut self) -> BinaryViewArray {
        self.close_buffer();
        // SAFETY: every view was made for bytes that stand in the buffer it names.
        unsafe {
            BinaryViewArray::new_unchecked_unknown_md(
                ArrowDataType::BinaryView,
                self.rows.finish().into(),
                self.full.into(),
                self.validity.finish(),
                None,
            )
        }
    }
}

/// Returns the bits of the view of a value of up to 12 bytes: its length, then its bytes, then
/// zeros.
///
/// A few loads, which may overlap, replace a loop that copies single bytes.
#[inline]
fn inline_view(bytes: &[u8]) -> u128 {
    let length = bytes.len();
    let four =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let data: u128 = match length {
        0 => 0,
        1..=3 => bytes
            .iter()
            .rev()
            .fold(0, |data, byte| data << 8 | u128::from(*byte)),
        4..=8 => u128::from(four(0)) | u128::from(four(length - 4)) << (8 * (length - 4)),
        _ => {
            u128::from(four(0))
                | u128::from(four(4)) << 32
                | u128::from(four(length - 4)) << (8 * (length - 4))
        }
    };
    data << 32 | length as u128
}

/// Refuses bytes that are not UTF-8.
///
/// # Errors
///
/// A [`CellError`] with the bytes as text, invalid ones replaced, and the position of the first
/// invalid byte.
#[inline(never)]
pub fn reject_other_than_text(bytes: &[u8]) -> CellResult {
    if is_utf8(bytes) {
        return Ok(());
    }
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    Err(CellError::new(
        format!("{:?}", String::from_utf8_lossy(bytes)),
        format!("is not UTF-8 (from byte {valid})"),
        "read it as bytes, or repair it in the database",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::Utf8ViewArray;

    fn as_texts(array: &dyn Array) -> &Utf8ViewArray {
        array.as_any().downcast_ref().expect("text")
    }

    fn as_bytes(array: &dyn Array) -> &BinaryViewArray {
        array.as_any().downcast_ref().expect("bytes")
    }

    /// Returns texts with lengths around every limit: inline views, the first buffers, the last
    /// buffers.
    fn texts() -> Vec<Option<String>> {
        let mut texts: Vec<Option<String>> = (0..40)
            .map(|n| Some("abcäöü€𝄞".repeat(3).chars().take(n).collect()))
            .collect();
        texts.push(None);
        texts.extend((0..2000).map(|n| Some(format!("{n:>width$}", width = n % 97))));
        texts.push(Some("x".repeat(LAST_BUFFER_BYTES + 1)));
        texts.push(Some("y".repeat(13)));
        texts
    }

    #[test]
    fn every_text_comes_out_as_it_went_in() {
        let mut builder = TextBuilder::default();
        for text in texts() {
            match text {
                Some(text) => builder.push(text.as_bytes()).expect("UTF-8"),
                None => builder.push_null(),
            }
        }
        let array = builder.finish();
        let array = as_texts(&*array);
        let out: Vec<Option<String>> = array.iter().map(|text| text.map(str::to_owned)).collect();
        assert!(out == texts());
    }

    #[test]
    fn equal_values_share_their_bytes() {
        let long = |n: usize| format!("{n:>width$}", width = 13 + n % 5_000);
        let runs: Vec<String> = (0..200).flat_map(|n| vec![long(n); 100]).collect();
        let turns: Vec<String> = (0..20_000).map(|n| long(n % 700)).collect();
        let of_some = |n: usize| long(if n.is_multiple_of(3) { n } else { n % 13 });
        let some: Vec<String> = (0..20_000).map(of_some).collect();
        let once: Vec<String> = (0..20_000).map(|n| long(n * 7)).collect();
        let all = [&runs[..], &turns, &some, &once, &turns].concat();
        for (values, most) in [
            (runs, 0.02),
            (turns, 0.3),
            (some, 1.0),
            (once, 1.0),
            (all, 0.9),
        ] {
            let mut texts = TextBuilder::default();
            let mut bytes = BinaryBuilder::default();
            for value in &values {
                texts.push(value.as_bytes()).expect("UTF-8");
                bytes.push(value.as_bytes());
            }
            let all: usize = values.iter().map(String::len).sum();
            assert_eq!((texts.long_bytes(), bytes.long_bytes()), (all, all));
            let texts = texts.finish();
            let texts = as_texts(&*texts);
            let stored: usize = texts.data_buffers().iter().map(Buffer::len).sum();
            #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
            let share = stored as f64 / all as f64;
            assert!(share <= most, "{share} of all bytes");
            assert!(texts.values_iter().eq(values.iter().map(String::as_str)));
            let bytes = bytes.finish();
            let bytes = as_bytes(&*bytes);
            assert!(bytes.values_iter().eq(values.iter().map(String::as_bytes)));
        }
    }

    #[test]
    fn values_that_do_not_repeat_are_stored_as_they_are() {
        let mut texts = TextBuilder::default();
        let values: Vec<String> = (0..100_000).map(|n| format!("no other is {n}")).collect();
        for value in &values {
            texts.push(value.as_bytes()).expect("UTF-8");
        }
        assert_eq!(
            texts.long_bytes(),
            values.iter().map(String::len).sum::<usize>()
        );
    }

    #[test]
    fn bytes_need_not_be_text() {
        let values: Vec<Vec<u8>> = (0..=255)
            .map(|byte| vec![byte; usize::from(byte) * 2])
            .collect();
        let mut builder = BinaryBuilder::default();
        for value in &values {
            builder.push(value);
        }
        let array = builder.finish();
        let array = as_bytes(&*array);
        assert!(array.values_iter().eq(values.iter().map(Vec::as_slice)));
    }

    #[test]
    fn what_is_not_utf8_is_refused_short_or_long() {
        for bytes in [
            &b"\xff"[..],
            b"ab\xc3",
            b"a long enough text \xe2\x82",
            b"\xed\xa0\x80",
        ] {
            let error = TextBuilder::default().push(bytes).expect_err("not UTF-8");
            assert!(error.reason.contains("not UTF-8"), "{}", error.reason);
        }
    }
}
