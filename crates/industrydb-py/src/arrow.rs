//! Frames that come one after another, as a stream of Arrow's C interface.
//!
//! <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>

use polars_arrow::array::Array;
use polars_arrow::ffi::{ArrowArrayStream, ArrowArrayStreamReader, export_iterator};
use polars_core::error::{PolarsError, PolarsResult};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

const NAME: &std::ffi::CStr = c"arrow_array_stream";

/// A capsule with the frames that an iterator yields, which have the schema of `empty`.
#[pyfunction]
pub(crate) fn arrow_stream<'py>(
    py: Python<'py>,
    frames: Py<PyAny>,
    empty: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let field = arrays(empty)?.field().clone();
    let batches = Batches {
        frames,
        arrays: None,
    };
    let stream = export_iterator(Box::new(batches), field);
    PyCapsule::new_with_value(py, stream, NAME)
}

/// The arrays of the frames.
struct Batches {
    frames: Py<PyAny>,
    /// What is left of the present frame.
    arrays: Option<ArrowArrayStreamReader<Box<ArrowArrayStream>>>,
}

impl Iterator for Batches {
    type Item = PolarsResult<Box<dyn Array>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(arrays) = &mut self.arrays {
                // SAFETY: Polars keeps to the interface.
                if let Some(array) = unsafe { arrays.next() } {
                    return Some(array);
                }
            }
            let next = Python::attach(|py| {
                let frame = self.frames.bind(py).try_iter()?.next();
                frame.map(|frame| arrays(&frame?)).transpose()
            });
            match next {
                Ok(Some(arrays)) => self.arrays = Some(arrays),
                Ok(None) => return None,
                Err(error) => {
                    let message = error.to_string();
                    return Some(Err(PolarsError::ComputeError(message.into())));
                }
            }
        }
    }
}

/// The arrays of a frame.
fn arrays(frame: &Bound<'_, PyAny>) -> PyResult<ArrowArrayStreamReader<Box<ArrowArrayStream>>> {
    let capsule = frame.call_method0("__arrow_c_stream__")?;
    let pointer = capsule.cast::<PyCapsule>()?.pointer_checked(Some(NAME))?;
    // SAFETY: a capsule of that name holds a stream; an empty one in its place tells the capsule that it was taken.
    let reader = unsafe {
        let stream = pointer
            .cast::<ArrowArrayStream>()
            .replace(ArrowArrayStream::empty());
        ArrowArrayStreamReader::try_new(Box::new(stream))
    };
    reader.map_err(|error| PyValueError::new_err(error.to_string()))
}
