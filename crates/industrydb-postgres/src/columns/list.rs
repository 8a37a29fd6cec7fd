//! Decodes arrays.
//!
//! Format: the number of dimensions, a flag for NULLs and the element type; for each dimension its
//! length and lower bound; then the elements, each with its length in front. The type of an array
//! does not say how many dimensions it has, so the first array that is not empty decides for its
//! column.

use industrydb_core::builders::ListBuilder;
use industrydb_core::{CellError, CellResult, ColumnType};
use polars_arrow::array::{Array, new_null_array};
use polars_arrow::datatypes::ArrowDataType;

use super::ColumnDecoder;
use super::wire::{take_element, take_i32, truncated};

/// A column of arrays: the lists, the lists within them, and the decoder of their elements.
pub(crate) struct ListDecoder {
    lists: ListBuilder,
    /// One builder for each dimension after the first, once an array has shown how many there are.
    inner: Option<Vec<ListBuilder>>,
    elements: ColumnDecoder,
}

impl ListDecoder {
    pub(super) fn new(elements: ColumnDecoder, dimensions: Option<usize>) -> Self {
        let inner = |dimensions| (1..dimensions).map(|_| ListBuilder::default()).collect();
        Self {
            lists: ListBuilder::default(),
            inner: dimensions.map(inner),
            elements,
        }
    }

    pub(super) fn push_null(&mut self) {
        self.lists.push_null();
    }

    /// Appends an array; the lower bounds of its indices are not kept.
    pub(super) fn decode(&mut self, field: &[u8]) -> CellResult {
        let mut rest = field;
        let dimensions = take_i32(&mut rest)?;
        let _has_nulls = take_i32(&mut rest)?;
        let _element_oid = take_i32(&mut rest)?;
        if dimensions == 0 {
            self.lists.push(0);
            return if rest.is_empty() {
                Ok(())
            } else {
                Err(too_long())
            };
        }
        let mut lengths = [0; MAX_DIMENSIONS];
        let lengths = usize::try_from(dimensions)
            .ok()
            .and_then(|dimensions| lengths.get_mut(..dimensions))
            .ok_or_else(|| CellError::malformed(format!("an array of {dimensions} dimensions")))?;
        for length in &mut *lengths {
            *length = u32::try_from(take_i32(&mut rest)?).map_err(|_| truncated())?;
            let _lower_bound = take_i32(&mut rest)?;
        }
        // Each element takes at least the bytes of its length, so these bytes limit the lists of
        // all levels.
        let count = lengths
            .iter()
            .try_fold(1, |count: usize, length| {
                count.checked_mul(*length as usize)
            })
            .filter(|count| (1..=rest.len() / LENGTH_BYTES).contains(count))
            .ok_or_else(truncated)?;
        self.open_lists(lengths)?;
        for _ in 0..count {
            match take_element(&mut rest)? {
                Some(element) => self.elements.decode_part(element)?,
                None => self.elements.push_null(),
            }
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(too_long())
        }
    }

    /// Appends the lists of all levels of one array.
    fn open_lists(&mut self, lengths: &[u32]) -> CellResult {
        let [first, inner_lengths @ ..] = lengths else {
            return Ok(());
        };
        let inner = self.inner.get_or_insert_with(|| {
            let builders = inner_lengths.iter().map(|_| ListBuilder::default());
            builders.collect()
        });
        if inner.len() != inner_lengths.len() {
            return Err(CellError::new(
                format!("an array of {} dimension(s)", lengths.len()),
                format!("does not fit a column of arrays of {}", inner.len() + 1),
                "cast the column to text in the query, or unnest it there",
            ));
        }
        self.lists.push(*first);
        let mut count = *first;
        for (builder, length) in inner.iter_mut().zip(inner_lengths) {
            (0..count).for_each(|_| builder.push(*length));
            count *= length;
        }
        Ok(())
    }

    /// Returns the column's type and array. Without any element, the element type is unknown.
    pub(super) fn finish(self) -> (ColumnType, Box<dyn Array>) {
        let (element_type, elements) = match self.inner {
            None => (ColumnType::Null, new_null_array(ArrowDataType::Null, 0)),
            Some(inner) => inner.into_iter().rev().fold(
                self.elements.finish_parts(),
                |(element_type, elements), lists| lists.finish(element_type, elements),
            ),
        };
        self.lists.finish(element_type, elements)
    }
}

/// Largest number of dimensions of an array in PostgreSQL (`MAXDIM`).
const MAX_DIMENSIONS: usize = 6;

/// Number of bytes of the length in front of each element.
const LENGTH_BYTES: usize = 4;

fn too_long() -> Box<CellError> {
    CellError::malformed("the array has bytes behind its last element")
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::ListArray;

    /// `SELECT array_send(ARRAY[7, NULL]::int4[])`
    const ARRAY: &[u8] =
        b"\0\0\0\x01\0\0\0\x01\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff";
    /// `SELECT array_send('{}'::int4[])`
    const EMPTY: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\x17";

    fn decoder() -> ListDecoder {
        ListDecoder::new(ColumnDecoder::new(&crate::types::Decoding::Int4), None)
    }

    #[test]
    fn lists_have_their_elements_and_nulls() {
        let mut decoder = decoder();
        decoder.decode(ARRAY).expect("an array");
        decoder.decode(EMPTY).expect("an array");
        decoder.push_null();
        let (_, array) = decoder.finish();
        let list = array
            .as_any()
            .downcast_ref::<ListArray<i64>>()
            .expect("a list");
        assert_eq!(list.offsets().as_slice(), [0, 2, 2, 2]);
        assert_eq!(list.null_count(), 1);
        assert_eq!(list.values().null_count(), 1);
    }

    #[test]
    fn every_cut_is_an_error() {
        for end in 0..ARRAY.len() {
            decoder().decode(&ARRAY[..end]).expect_err("cut off");
        }
        decoder()
            .decode(&[ARRAY, b"x"].concat())
            .expect_err("too long");
    }

    /// Returns the bytes of `SELECT array_send('{{1,2,3},{4,NULL,6}}'::int4[])`.
    fn two_by_three() -> Vec<u8> {
        let mut wire =
            b"\0\0\0\x02\0\0\0\x01\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x03\0\0\0\x01".to_vec();
        for number in [1_u8, 2, 3, 4, 0, 6] {
            if number == 0 {
                wire.extend(b"\xff\xff\xff\xff");
            } else {
                wire.extend(b"\0\0\0\x04\0\0\0");
                wire.push(number);
            }
        }
        wire
    }

    #[test]
    fn dimensions_are_lists_within_lists() {
        let mut decoder = decoder();
        decoder.decode(EMPTY).expect("an array");
        decoder.decode(&two_by_three()).expect("an array");
        let (column_type, array) = decoder.finish();
        let inner = ColumnType::List(Box::new(ColumnType::Int32));
        assert_eq!(column_type, ColumnType::List(Box::new(inner)));
        let outer = array.as_any().downcast_ref::<ListArray<i64>>();
        let outer = outer.expect("a list");
        assert_eq!(outer.offsets().as_slice(), [0, 0, 2]);
        let inner = outer.values().as_any().downcast_ref::<ListArray<i64>>();
        let inner = inner.expect("a list");
        assert_eq!(inner.offsets().as_slice(), [0, 3, 6]);
        assert_eq!(inner.values().null_count(), 1);
    }

    #[test]
    fn dimensions_do_not_mix() {
        let mut decoder = decoder();
        decoder.decode(ARRAY).expect("an array");
        let error = decoder.decode(&two_by_three()).expect_err("two dimensions");
        assert!(error.value.expect("a value").contains("2 dimension"));
    }

    #[test]
    fn impossible_lengths_reserve_nothing() {
        for lengths in [[0x7fff_ffff_u32, 0x7fff_ffff], [0x7fff_ffff, 0], [1, 3]] {
            let mut wire = b"\0\0\0\x02\0\0\0\0\0\0\0\x17".to_vec();
            for length in lengths {
                wire.extend(length.to_be_bytes());
                wire.extend([0, 0, 0, 1]);
            }
            wire.extend(b"\0\0\0\x04\0\0\0\x01");
            decoder().decode(&wire).expect_err("not so many elements");
        }
        let seven = [b"\0\0\0\x07".as_slice(), &[0; 100]].concat();
        decoder().decode(&seven).expect_err("seven dimensions");
    }
}
