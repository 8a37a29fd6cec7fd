//! Arrays of one dimension.
//!
//! The number of dimensions, a flag for NULLs and the element type; for each dimension its length and
//! lower bound; then the elements, each with its length in front.

use industrydb_core::builders::ListBuilder;
use industrydb_core::{CellError, CellResult, ColumnType};
use polars_arrow::array::Array;

use super::ColumnDecoder;

/// A column of arrays: the lists, and the decoder of their elements.
pub(crate) struct ListDecoder {
    lists: ListBuilder,
    elements: ColumnDecoder,
}

impl ListDecoder {
    pub(super) fn new(elements: ColumnDecoder) -> Self {
        Self {
            lists: ListBuilder::default(),
            elements,
        }
    }

    pub(super) fn push_null(&mut self) {
        self.lists.push_null();
    }

    /// Appends an array; the lower bound of its index is not kept.
    pub(super) fn decode(&mut self, field: &[u8]) -> CellResult {
        let mut rest = field;
        let dimensions = take_i32(&mut rest)?;
        let _has_nulls = take_i32(&mut rest)?;
        let _element_oid = take_i32(&mut rest)?;
        let count = match dimensions {
            0 => 0,
            1 => {
                let count = take_i32(&mut rest)?;
                let _lower_bound = take_i32(&mut rest)?;
                u32::try_from(count).map_err(|_| truncated())?
            }
            _ => {
                return Err(CellError::new(
                    format!("an array of {dimensions} dimensions"),
                    "does not fit a column of plain lists",
                    "cast the column to text in the query, or unnest it there",
                ));
            }
        };
        for _ in 0..count {
            let length = take_i32(&mut rest)?;
            if length == -1 {
                self.elements.push_null();
                continue;
            }
            let element = usize::try_from(length)
                .ok()
                .and_then(|length| rest.split_at_checked(length));
            let (element, behind) = element.ok_or_else(truncated)?;
            self.elements.decode(element)?;
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(CellError::malformed(
                "the array has bytes behind its last element",
            ));
        }
        self.lists.push(count);
        Ok(())
    }

    pub(super) fn finish(self) -> (ColumnType, Box<dyn Array>) {
        let (element_type, elements) = self.elements.finish_parts();
        self.lists.finish(element_type, elements)
    }
}

fn take_i32(rest: &mut &[u8]) -> CellResult<i32> {
    let (number, behind) = rest.split_first_chunk().ok_or_else(truncated)?;
    *rest = behind;
    Ok(i32::from_be_bytes(*number))
}

fn truncated() -> Box<CellError> {
    CellError::malformed("the array ends early")
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
        ListDecoder::new(ColumnDecoder::new(&crate::types::Decoding::Int4))
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

    #[test]
    fn two_dimensions_are_refused() {
        // SELECT array_send('{{1}}'::int4[])
        let wire = b"\0\0\0\x02\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0\x01";
        let error = decoder().decode(wire).expect_err("two dimensions");
        assert!(error.value.expect("a value").contains("2 dimensions"));
    }
}
