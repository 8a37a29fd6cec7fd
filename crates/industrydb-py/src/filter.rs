//! Converts the wanted columns and rows of a query from Python tuples, which
//! `python/industrydb/_text/predicate.py` documents.

use industrydb_core::Narrowing;
use industrydb_core::narrow::{Comparison, Filter, Part, Place, Test};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::parameters::value;

/// A narrowing: columns, a filter, a limit on the rows, and whether each column's largest value
/// suffices.
pub(crate) struct PyNarrowing(pub(crate) Narrowing);

impl<'a, 'py> FromPyObject<'a, 'py> for PyNarrowing {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let (columns, predicate, limit, largest): (_, Option<Bound<'_, PyAny>>, _, _) =
            object.extract()?;
        Ok(Self(Narrowing {
            columns,
            filter: predicate.map(|predicate| filter(&predicate)).transpose()?,
            limit,
            largest,
        }))
    }
}

fn filter(node: &Bound<'_, PyAny>) -> PyResult<Filter> {
    let node = node.cast::<PyTuple>()?;
    let part = |index: usize| node.get_item(index);
    let inner = |index: usize| Ok::<_, PyErr>(Box::new(filter(&part(index)?)?));
    let kind: String = part(0)?.extract()?;
    let test = match kind.as_str() {
        "and" => return Ok(Filter::And(inner(1)?, inner(2)?)),
        "or" => return Ok(Filter::Or(inner(1)?, inner(2)?)),
        "not" => return Ok(Filter::Not(inner(1)?)),
        "is_null" => Test::IsNull,
        "compare" => Test::Compare(comparison(&part(2)?)?, value(&part(3)?, 0)?),
        "in" => {
            let values = part(2)?.try_iter()?.map(|each| value(&each?, 0));
            Test::In(values.collect::<PyResult<_>>()?)
        }
        "starts_with" => Test::Contains(Place::Start, part(2)?.extract()?),
        "ends_with" => Test::Contains(Place::End, part(2)?.extract()?),
        "contains" => Test::Contains(Place::Anywhere, part(2)?.extract()?),
        "part" => {
            let name: String = part(2)?.extract()?;
            let part_of = Part::of_name(&name).ok_or_else(|| unknown(&name))?;
            Test::Part(part_of, comparison(&part(3)?)?, part(4)?.extract()?)
        }
        other => return Err(unknown(other)),
    };
    Ok(Filter::Column(part(1)?.extract()?, test))
}

fn comparison(sign: &Bound<'_, PyAny>) -> PyResult<Comparison> {
    let sign: String = sign.extract()?;
    Comparison::of_sign(&sign).ok_or_else(|| unknown(&sign))
}

fn unknown(what: &str) -> PyErr {
    PyValueError::new_err(format!("{what:?} is no part of a predicate"))
}
