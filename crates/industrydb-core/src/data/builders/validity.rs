//! Which rows are NULL.

use polars_arrow::bitmap::{Bitmap, MutableBitmap};

/// A validity bitmap that exists only once a NULL was seen.
#[derive(Default)]
pub(super) struct Validity(Option<MutableBitmap>);

impl Validity {
    /// Notes a value.
    #[inline]
    pub(super) fn push_valid(&mut self) {
        if let Some(bitmap) = &mut self.0 {
            bitmap.push(true);
        }
    }

    /// Notes a NULL behind `rows` earlier rows.
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

    /// The bitmap, if there was a NULL.
    pub(super) fn finish(self) -> Option<Bitmap> {
        self.0.map(Bitmap::from)
    }
}
