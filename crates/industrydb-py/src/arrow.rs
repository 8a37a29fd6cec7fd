//! Exports a sequence of frames as a stream of the Arrow C interface.
//!
//! <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>

use std::sync::{Mutex, PoisonError};

use industrydb_core::allocator;
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

/// Returns a capsule with a stream of the frames that an iterator yields. The frames have the
/// schema of `empty`, and are exported with the requested types as far as [`negotiated`] allows.
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

/// Returns free memory to the system, after columns were converted to another library.
#[pyfunction]
pub(crate) fn return_free_memory() {
    allocator::return_free_memory();
}

/// Returns the extension types of a stream's columns: the name of the column, the name of the
/// extension type, and whether the type is nested in the column's type. The stream is not consumed.
#[pyfunction]
pub(crate) fn arrow_extensions(
    capsule: &Bound<'_, PyCapsule>,
) -> PyResult<Vec<(String, String, bool)>> {
    let pointer = capsule.pointer_checked(Some(NAME))?;
    // SAFETY: a capsule of that name holds a stream, which no other code reads while the GIL is
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

/// The batches of an Arrow stream, one after the other, each as a capsule with a stream of its own.
#[pyclass(module = "industrydb.industrydb", frozen)]
pub(crate) struct ArrowBatches {
    batches: Mutex<Taken>,
    field: Field,
}

/// A stream that was taken from its capsule.
struct Taken(Arrays);

// SAFETY: the interface's callbacks may be called from any thread, though not by several at once,
// which the mutex prevents. <https://arrow.apache.org/docs/format/CStreamInterface.html>
unsafe impl Send for Taken {}

#[pymethods]
impl ArrowBatches {
    #[new]
    fn new(capsule: &Bound<'_, PyCapsule>) -> PyResult<Self> {
        let reader = taken(capsule)?;
        Ok(Self {
            field: reader.field().clone(),
            batches: Mutex::new(Taken(reader)),
        })
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Waits for the next batch without the GIL, which the stream's own threads may need.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyCapsule>>> {
        let next = py.detach(|| {
            let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the producer adheres to the interface.
            unsafe { batches.0.next() }
        });
        let Some(array) = next else {
            return Ok(None);
        };
        let array = array.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let stream = export_iterator(Box::new(std::iter::once(Ok(array))), self.field.clone());
        PyCapsule::new_with_value(py, stream, NAME).map(Some)
    }

    /// Returns a capsule with a stream of the same schema that has no batches.
    fn empty<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let stream = export_iterator(Box::new(std::iter::empty()), self.field.clone());
        PyCapsule::new_with_value(py, stream, NAME)
    }
}

/// Collects the extension types in a column's type, nested ones included.
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

/// Iterator over the arrays of the frames.
struct Batches {
    /// Python iterator over the frames; `None` once it is dropped.
    frames: Option<Py<PyAny>>,
    /// Remaining arrays of the current frame.
    arrays: Option<Arrays>,
    /// Type that the arrays are exported as.
    dtype: ArrowDataType,
}

type Arrays = ArrowArrayStreamReader<Box<ArrowArrayStream>>;

/// Runs work with the GIL, from any thread.
///
/// Consumers release the GIL before they call into a stream, even if the thread came to the
/// consumer through a function of this module. pyo3 then still believes that the thread holds the
/// GIL, so `PyGILState_Ensure` asks Python itself.
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
                // SAFETY: Polars adheres to the interface.
                if let Some(array) = unsafe { arrays.next() } {
                    return Some(array.and_then(|array| converted(array.as_ref(), &self.dtype)));
                }
            }
            // Only the error's text is kept: its traceback may hold a reference to the consumer.
            let next = with_lock(|py| self.next_frame(py).map_err(|error| error.to_string()));
            match next {
                Ok(Some(arrays)) => self.arrays = Some(arrays),
                Ok(None) => return None,
                Err(message) => return Some(Err(PolarsError::ComputeError(message.into()))),
            }
        }
    }
}

/// Returns the arrays of a frame.
fn arrays(frame: &Bound<'_, PyAny>) -> PyResult<Arrays> {
    let capsule = frame.call_method0("__arrow_c_stream__")?;
    taken(capsule.cast::<PyCapsule>()?)
}

/// Takes the stream of a capsule.
fn taken(capsule: &Bound<'_, PyCapsule>) -> PyResult<Arrays> {
    let pointer = capsule.pointer_checked(Some(NAME))?;
    // SAFETY: a capsule of that name holds a stream; the empty stream in its place tells the
    // capsule that the stream was taken.
    let reader = unsafe {
        let stream = pointer
            .cast::<ArrowArrayStream>()
            .replace(ArrowArrayStream::empty());
        ArrowArrayStreamReader::try_new(Box::new(stream))
    };
    reader.map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Reads the requested schema.
fn schema(capsule: &Bound<'_, PyCapsule>) -> PyResult<Field> {
    let pointer = capsule.pointer_checked(Some(SCHEMA))?;
    // SAFETY: a capsule of that name holds a schema, which is only read.
    let field = unsafe { import_field_from_c(pointer.cast::<ArrowSchema>().as_ref()) };
    field.map_err(|error| {
        ConfigurationError::new_err(format!("the requested schema cannot be read: {error}"))
    })
}
