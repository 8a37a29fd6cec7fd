//! Validity bitmap of a column: which rows are NULL.

use polars_arrow::bitmap::{Bitmap, MutableBitmap};

/// Validity bitmap that exists only once a NULL was appended.
#[derive(Default)]
pub(super) struct Validity(Option<MutableBitmap>);

impl Validity {
    /// Appends a valid row.
    #[inline]
    pub(super) fn push_valid(&mut self) {
        if let Some(bitmap) = &mut self.0 {
            bitmap.push(true);
        }
    }

    /// Appends a number of valid rows.
    #[inline]
    pub(super) fn extend_valid(&mut self, rows: usize) {
        if let Some(bitmap) = &mut self.0 {
            bitmap.extend_constant(rows, true);
        }
    }

    /// Appends a NULL after `rows` earlier rows.
    #[inline]
    pub(super) fn push_null(&mut self, rows: usize) {
        self.0
            .get_or_insert_with(|| {
                let mut bitmap = MutableBitmap::with_capacity(rows + 64);
                bitmap.extend_constant(rows, true);
                bitmap
            })
            .push(false);
    }

    /// Returns the bitmap, if there was a NULL.
    pub(super) fn finish(self) -> Option<Bitmap> {
        self.0.map(Bitmap::from)
    }
}
