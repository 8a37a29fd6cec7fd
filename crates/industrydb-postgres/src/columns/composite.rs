//! Decodes rows of composite types.
//!
//! Format: the number of fields, then each field with its type and its length in front.

use industrydb_core::builders::StructBuilder;
use industrydb_core::{CellError, CellResult, ColumnType};
use polars_arrow::array::Array;

use super::ColumnDecoder;
use super::wire::{take_element, take_i32};
use crate::types::Decoding;

/// A column of rows: a decoder for each field, and which rows are NULL.
pub(crate) struct CompositeDecoder {
    fields: Vec<(String, ColumnDecoder)>,
    rows: StructBuilder,
}

impl CompositeDecoder {
    pub(super) fn new(fields: &[(String, Decoding)]) -> Self {
        let field =
            |(name, decoding): &(String, Decoding)| (name.clone(), ColumnDecoder::new(decoding));
        Self {
            fields: fields.iter().map(field).collect(),
            rows: StructBuilder::default(),
        }
    }

    pub(super) fn push_null(&mut self) {
        for (_, field) in &mut self.fields {
            field.push_null();
        }
        self.rows.push_null();
    }

    /// Appends a row.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> CellResult {
        let mut rest = bytes;
        let count = take_i32(&mut rest)?;
        if usize::try_from(count) != Ok(self.fields.len()) {
            let expected = self.fields.len();
            return Err(CellError::malformed(format!(
                "a row of {count} fields, where the catalog has {expected}"
            )));
        }
        for (name, field) in &mut self.fields {
            let _oid = take_i32(&mut rest)?;
            match take_element(&mut rest)? {
                Some(bytes) => field
                    .decode_part(bytes)
                    .map_err(|error| within(error, name))?,
                None => field.push_null(),
            }
        }
        if !rest.is_empty() {
            return Err(CellError::malformed(
                "the row has bytes behind its last field",
            ));
        }
        self.rows.push();
        Ok(())
    }

    /// Returns the column's type and array.
    pub(super) fn finish(self) -> (ColumnType, Box<dyn Array>) {
        let field = |(name, field): (String, ColumnDecoder)| {
            let (column_type, array) = field.finish_parts();
            (name, column_type, array)
        };
        self.rows
            .finish(self.fields.into_iter().map(field).collect())
    }
}

/// Start of a reason that is about a field.
const IN_FIELD: &str = "in the field ";

/// Adds the field's name to an error.
#[cold]
fn within(mut error: Box<CellError>, name: &str) -> Box<CellError> {
    error.reason = match error.reason.strip_prefix(IN_FIELD) {
        Some(inner) => format!("{IN_FIELD}{name:?}.{inner}"),
        None => format!("{IN_FIELD}{name:?} {}", error.reason),
    };
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::StructArray;

    /// `SELECT record_send(ROW(7, 'a', NULL::int4))`
    const ROW: &[u8] =
        b"\0\0\0\x03\0\0\0\x17\0\0\0\x04\0\0\0\x07\0\0\0\x19\0\0\0\x01a\0\0\0\x17\xff\xff\xff\xff";

    fn decoder() -> CompositeDecoder {
        CompositeDecoder::new(&[
            ("n".to_owned(), Decoding::Int4),
            ("t".to_owned(), Decoding::Text),
            ("m".to_owned(), Decoding::Int4),
        ])
    }

    #[test]
    fn rows_have_their_fields_and_nulls() {
        let mut decoder = decoder();
        decoder.decode(ROW).expect("a row");
        decoder.push_null();
        let (column_type, array) = decoder.finish();
        let expected = [
            ("n", ColumnType::Int32),
            ("t", ColumnType::String),
            ("m", ColumnType::Int32),
        ];
        let expected = expected.map(|(name, column_type)| (name.to_owned(), column_type));
        assert_eq!(column_type, ColumnType::Struct(expected.to_vec()));
        let rows = array.as_any().downcast_ref::<StructArray>().expect("rows");
        assert_eq!((rows.len(), rows.null_count()), (2, 1));
        let nulls: Vec<usize> = rows
            .values()
            .iter()
            .map(|field| field.null_count())
            .collect();
        assert_eq!(nulls, [1, 1, 2]);
    }

    #[test]
    fn every_cut_is_an_error() {
        for end in 0..ROW.len() {
            decoder().decode(&ROW[..end]).expect_err("cut off");
        }
        let error = decoder()
            .decode(&[ROW, b"x"].concat())
            .expect_err("too long");
        assert!(error.reason.contains("behind"));
        let two = [b"\0\0\0\x02", &ROW[4..]].concat();
        decoder().decode(&two).expect_err("two fields");
    }
}
