//! The Python module `industrydb.industrydb`.
//!
//! [`read`] takes the call from Python and lets go of the GIL; [`databases`] is the one list of
//! databases; [`errors`] turns each error into its Python exception.

mod databases;
mod errors;
mod read;

use pyo3::prelude::*;

/// The compiled part of industrydb.
#[pymodule]
fn industrydb(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Fails only where another logger has been installed, which then gets the messages.
    let _ = pyo3_log::try_init();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MAX_PARTITIONS", industrydb_core::executor::MAX_PARTITIONS)?;
    module.add_function(wrap_pyfunction!(read::read_sql, module)?)?;
    errors::add_to(module)
}
