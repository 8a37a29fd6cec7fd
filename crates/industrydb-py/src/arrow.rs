//! Frames that come one after another, as a stream of Arrow's C interface.
//!
//! <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>

use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_arrow::ffi::{
    ArrowArrayStream, ArrowArrayStreamReader, ArrowSchema, export_iterator, import_field_from_c,
};
use polars_core::error::{PolarsError, PolarsResult};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::arrow_types::{converted, negotiated};
use crate::errors::ConfigurationError;

const NAME: &std::ffi::CStr = c"arrow_array_stream";
const SCHEMA: &std::ffi::CStr = c"arrow_schema";

/// A capsule with the frames that an iterator yields, which have the schema of `empty`, in the
/// forms that are requested.
#[pyfunction]
#[pyo3(signature = (frames, empty, requested=None))]
pub(crate) fn arrow_stream<'py>(
    py: Python<'py>,
    frames: Py<PyAny>,
    empty: &Bound<'py, PyAny>,
    requested: Option<&Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let requested = requested.map(schema).transpose()?;
    let field = negotiated(arrays(empty)?.field(), requested.as_ref())
        .map_err(|error| ConfigurationError::new_err(error.to_string()))?;
    let batches = Batches {
        frames: Some(frames),
        arrays: None,
        dtype: field.dtype.clone(),
    };
    let stream = export_iterator(Box::new(batches), field);
    PyCapsule::new_with_value(py, stream, NAME)
}

/// The extension types of a stream's columns, by the columns' names; those within nested types
/// stand under the name of their column, with `true`. The stream is not taken.
#[pyfunction]
pub(crate) fn arrow_extensions(
    capsule: &Bound<'_, PyCapsule>,
) -> PyResult<Vec<(String, String, bool)>> {
    let pointer = capsule.pointer_checked(Some(NAME))?;
    // SAFETY: a capsule of that name holds a stream, which nobody else reads while Python's lock is
    // held.
    let reader =
        unsafe { ArrowArrayStreamReader::try_new(pointer.cast::<ArrowArrayStream>().as_mut()) };
    let reader = reader.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let mut found = Vec::new();
    if let ArrowDataType::Struct(fields) = reader.field().dtype() {
        for field in fields {
            note_extensions(field.name.as_str(), field.dtype(), false, &mut found);
        }
    }
    Ok(found)
}

/// Notes the extension types that a column's type is, or is made of.
fn note_extensions(
    column: &str,
    dtype: &ArrowDataType,
    is_nested: bool,
    found: &mut Vec<(String, String, bool)>,
) {
    use ArrowDataType as T;
    let mut note = |dtype: &ArrowDataType| note_extensions(column, dtype, true, found);
    match dtype {
        T::Extension(extension) => {
            found.push((column.to_owned(), extension.name.to_string(), is_nested));
        }
        T::List(field) | T::LargeList(field) | T::FixedSizeList(field, _) | T::Map(field, _) => {
            note(field.dtype());
        }
        T::Struct(fields) => fields.iter().for_each(|field| note(field.dtype())),
        T::Dictionary(_, values, _) => note(values),
        _ => {}
    }
}

/// The arrays of the frames.
struct Batches {
    /// An iterator, until it is dropped.
    frames: Option<Py<PyAny>>,
    /// What is left of the present frame.
    arrays: Option<Arrays>,
    /// What they are handed over as.
    dtype: ArrowDataType,
}

type Arrays = ArrowArrayStreamReader<Box<ArrowArrayStream>>;

/// Does something with Python's lock, whoever calls.
///
/// Consumers let go of the lock before they call into a stream, also where a function of ours has
/// led to them, so that pyo3 believes that the thread still has it. Python itself knows.
fn with_lock<T>(work: impl FnOnce(Python<'_>) -> T) -> T {
    // SAFETY: the interpreter lives as long as something holds a stream of its frames.
    let state = unsafe { pyo3::ffi::PyGILState_Ensure() };
    let result = Python::attach(work);
    // SAFETY: this gives back what was taken above, in the same thread.
    unsafe { pyo3::ffi::PyGILState_Release(state) };
    result
}

impl Batches {
    fn next_frame(&self, py: Python<'_>) -> PyResult<Option<Arrays>> {
        let Some(frames) = &self.frames else {
            return Ok(None);
        };
        let frame = frames.bind(py).try_iter()?.next();
        frame.map(|frame| arrays(&frame?)).transpose()
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        with_lock(|_| {
            self.frames = None;
            self.arrays = None;
        });
    }
}

impl Iterator for Batches {
    type Item = PolarsResult<Box<dyn Array>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(arrays) = &mut self.arrays {
                // SAFETY: Polars keeps to the interface.
                if let Some(array) = unsafe { arrays.next() } {
                    return Some(array.and_then(|array| converted(array.as_ref(), &self.dtype)));
                }
            }
            // The error's traceback may hold the consumer, and is dropped here.
            let next = with_lock(|py| self.next_frame(py).map_err(|error| error.to_string()));
            match next {
                Ok(Some(arrays)) => self.arrays = Some(arrays),
                Ok(None) => return None,
                Err(message) => return Some(Err(PolarsError::ComputeError(message.into()))),
            }
        }
    }
}

/// The arrays of a frame.
fn arrays(frame: &Bound<'_, PyAny>) -> PyResult<Arrays> {
    let capsule = frame.call_method0("__arrow_c_stream__")?;
    let pointer = capsule.cast::<PyCapsule>()?.pointer_checked(Some(NAME))?;
    // SAFETY: a capsule of that name holds a stream; an empty one in its place tells the capsule
    // that it was taken.
    let reader = unsafe {
        let stream = pointer
            .cast::<ArrowArrayStream>()
            .replace(ArrowArrayStream::empty());
        ArrowArrayStreamReader::try_new(Box::new(stream))
    };
    reader.map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The requested schema.
fn schema(capsule: &Bound<'_, PyCapsule>) -> PyResult<Field> {
    let pointer = capsule.pointer_checked(Some(SCHEMA))?;
    // SAFETY: a capsule of that name holds a schema, which is only looked at.
    let field = unsafe { import_field_from_c(pointer.cast::<ArrowSchema>().as_ref()) };
    field.map_err(|error| {
        ConfigurationError::new_err(format!("the requested schema cannot be read: {error}"))
    })
}
