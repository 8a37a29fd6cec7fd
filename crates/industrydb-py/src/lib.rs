//! The Python module `industrydb.industrydb`.
//!
//! - [`config`] is the class `DatabaseConfig`, which takes [`arguments`]; its [`password`] may be
//!   asked for at each login. [`connection`] is a session that Python keeps.
//! - [`call`] holds the arguments of a call; [`parameters`] converts its values, [`dtypes`] its
//!   data types, and [`filter`] the columns and rows that it needs.
//! - [`read`] reads a query into a frame, without the GIL by way of [`signals`], and reports what
//!   is [`measured`].
//! - [`stream`] hands over batches; [`arrow`] exports them as an Arrow stream, with the types of
//!   [`arrow_types`]; [`frame`] hands one frame over.
//! - [`hold`] is a snapshot that a session holds for the reads of other processes.
//! - [`databases`] is the list of supported databases.
//! - [`logging`] forwards log messages to Python; [`errors`] converts each error to its Python
//!   exception; [`interrupts`] holds Ctrl-C back for scans.
//! - [`handover`] lets a test prove that the hand-over of a frame copies nothing.

mod arguments;
mod arrow;
mod arrow_types;
mod call;
mod config;
mod connection;
mod databases;
mod dtypes;
mod errors;
mod filter;
mod frame;
mod handover;
mod hold;
mod interrupts;
mod logging;
mod measured;
mod parameters;
mod parts;
mod password;
mod read;
mod signals;
mod stream;

use industrydb_core::allocator::Allocator;
use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The compiled part of industrydb.
#[pymodule]
fn industrydb(module: &Bound<'_, PyModule>) -> PyResult<()> {
    logging::install(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MAX_PARTITIONS", industrydb_core::partition::MAX_PARTITIONS)?;
    module.add("MAX_SESSIONS", industrydb_core::executor::MAX_SESSIONS)?;
    module.add_class::<config::PyDatabaseConfig>()?;
    module.add_class::<connection::Session>()?;
    module.add_class::<stream::PyStream>()?;
    module.add_class::<hold::Holder>()?;
    module.add_function(wrap_pyfunction!(arrow::arrow_extensions, module)?)?;
    module.add_class::<arrow::ArrowBatches>()?;
    module.add_class::<interrupts::PyStop>()?;
    module.add_class::<measured::Measured>()?;
    module.add_function(wrap_pyfunction!(interrupts::hold_interrupts, module)?)?;
    module.add_function(wrap_pyfunction!(interrupts::release_interrupts, module)?)?;
    module.add_function(wrap_pyfunction!(interrupts::held_interrupt, module)?)?;
    module.add_function(wrap_pyfunction!(interrupts::pass_interrupt, module)?)?;
    module.add_function(wrap_pyfunction!(arrow::arrow_stream, module)?)?;
    module.add_function(wrap_pyfunction!(arrow::return_free_memory, module)?)?;
    module.add_function(wrap_pyfunction!(stream::schema_sql, module)?)?;
    module.add_function(wrap_pyfunction!(read::read_sql, module)?)?;
    module.add_function(wrap_pyfunction!(read::plan_sql, module)?)?;
    module.add_function(wrap_pyfunction!(read::open_columns_sql, module)?)?;
    module.add_function(wrap_pyfunction!(read::without_password, module)?)?;
    module.add_function(wrap_pyfunction!(arguments::near_names, module)?)?;
    module.add_function(wrap_pyfunction!(databases::shares_snapshots, module)?)?;
    module.add_function(wrap_pyfunction!(handover::read_sql_with_addresses, module)?)?;
    errors::add_to(module)
}
