//! Memory that a frame or a chunk takes.

use polars_arrow::array::{Array, BinaryViewArray, ListArray, StructArray, Utf8ViewArray, View};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::compute::aggregate::estimated_bytes_size;
use polars_buffer::Buffer;
use polars_core::frame::DataFrame;

use crate::data::chunk::Chunk;

/// Returns the size of a chunk's buffers in bytes.
pub(crate) fn chunk_bytes(chunk: &Chunk) -> usize {
    let columns = chunk.columns.iter();
    columns
        .map(|column| array_bytes(column.array.as_ref()))
        .sum()
}

/// Returns the size of a frame's buffers in bytes. Polars' own estimate counts a text as often as
/// it occurs in a column instead of as often as it is stored, and leaves out the views that point
/// to it.
pub(crate) fn buffer_bytes(frame: &DataFrame) -> usize {
    let columns = frame.columns().iter();
    let chunks = columns.flat_map(|column| column.as_materialized_series().chunks());
    chunks.map(|chunk| array_bytes(chunk.as_ref())).sum()
}

fn array_bytes(array: &dyn Array) -> usize {
    let any = array.as_any();
    let validity = array.validity().map_or(0, bitmap_bytes);
    if let Some(texts) = any.downcast_ref::<Utf8ViewArray>() {
        validity + view_bytes(texts.len(), texts.data_buffers())
    } else if let Some(bytes) = any.downcast_ref::<BinaryViewArray>() {
        validity + view_bytes(bytes.len(), bytes.data_buffers())
    } else if let Some(lists) = any.downcast_ref::<ListArray<i64>>() {
        let offsets = (lists.len() + 1) * size_of::<i64>();
        validity + offsets + array_bytes(lists.values().as_ref())
    } else if let Some(structs) = any.downcast_ref::<StructArray>() {
        let fields = structs.values().iter();
        validity
            + fields
                .map(|field| array_bytes(field.as_ref()))
                .sum::<usize>()
    } else {
        estimated_bytes_size(array)
    }
}

fn view_bytes(rows: usize, buffers: &Buffer<Buffer<u8>>) -> usize {
    rows * size_of::<View>() + buffers.iter().map(Buffer::len).sum::<usize>()
}

fn bitmap_bytes(bitmap: &Bitmap) -> usize {
    bitmap.len().div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::builders::TextBuilder;
    use polars_core::prelude::{Column, Series};

    #[test]
    fn what_repeats_counts_once() {
        const ROWS: usize = 100_000;
        let text = "a text of which there are many";
        let mut builder = TextBuilder::default();
        for _ in 0..ROWS {
            builder.push_str(text);
        }
        let series = Series::from_arrow("t".into(), builder.finish()).expect("a series");
        let frame = DataFrame::new(ROWS, vec![Column::from(series)]).expect("a frame");
        let views = ROWS * 16;
        let bytes = buffer_bytes(&frame);
        assert!(
            (views..views + 200 * text.len()).contains(&bytes),
            "{bytes}"
        );
    }
}
