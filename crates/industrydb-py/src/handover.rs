//! Returns the addresses of a frame's buffers before the hand-over to Python, so that a test can
//! prove that nothing is copied.

use polars_arrow::array::{Array, BinaryViewArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::types::NativeType;
use polars_core::prelude::DataFrame;
use pyo3::prelude::*;

use crate::call::Call;
use crate::frame::Handed;
use crate::read::read_sql;

/// Addresses of the buffers, for each column and each of its chunks.
type Addresses = Vec<Vec<Vec<usize>>>;

/// Reads as `read_sql` does, and also returns the addresses of the frame's buffers. For tests only.
#[pyfunction]
#[pyo3(name = "_read_sql_with_addresses")]
pub(crate) fn read_sql_with_addresses(py: Python<'_>, call: Call) -> PyResult<(Handed, Addresses)> {
    let frame = read_sql(py, call, None, None, None)?;
    let addresses = addresses(&frame.0);
    Ok((frame, addresses))
}

fn addresses(frame: &DataFrame) -> Addresses {
    let chunks = |column: &polars_core::prelude::Column| {
        let series = column
            .as_materialized_series()
            .to_physical_repr()
            .into_owned();
        series
            .chunks()
            .iter()
            .map(|array| buffers(array.as_ref()))
            .collect()
    };
    frame.columns().iter().map(chunks).collect()
}

/// Returns the addresses of an array's buffers: of the values of numbers; of the views of text and
/// bytes, and then of the buffers that the views point into.
fn buffers(array: &dyn Array) -> Vec<usize> {
    if let Some(text) = array.as_any().downcast_ref::<Utf8ViewArray>() {
        return views(&text.to_binview());
    }
    if let Some(bytes) = array.as_any().downcast_ref::<BinaryViewArray>() {
        return views(bytes);
    }
    values::<i16>(array)
        .or_else(|| values::<i32>(array))
        .or_else(|| values::<i64>(array))
        .or_else(|| values::<i128>(array))
        .or_else(|| values::<u32>(array))
        .or_else(|| values::<f32>(array))
        .or_else(|| values::<f64>(array))
        .into_iter()
        .collect()
}

fn views(array: &BinaryViewArray) -> Vec<usize> {
    let data = array
        .data_buffers()
        .iter()
        .map(|buffer| buffer.as_ptr() as usize);
    std::iter::once(array.views().as_ptr() as usize)
        .chain(data)
        .collect()
}

fn values<T: NativeType>(array: &dyn Array) -> Option<usize> {
    let array = array.as_any().downcast_ref::<PrimitiveArray<T>>()?;
    Some(array.values().as_ptr() as usize)
}
