//! What is measured of the partitions of a read.

use industrydb_core::Meter;
use industrydb_core::meter::Phase;
use pyo3::prelude::*;

/// What is measured of a partition.
#[pyclass(frozen, get_all, module = "industrydb.industrydb")]
pub(crate) struct Measured {
    /// Seconds from the beginning of the read to the start of the partition …
    start: Option<f64>,
    /// … to its session …
    connected: Option<f64>,
    /// … to its first rows …
    first_rows: Option<f64>,
    /// … and to its end, as far as it has come.
    end: Option<f64>,
    /// The seconds that it waited for the database.
    waited: f64,
    /// The seconds that it waited for its batches to be taken.
    held: f64,
    rows: u64,
    /// In memory.
    bytes: u64,
    worker: u64,
    /// The rows that the plan expects.
    estimated_rows: Option<f64>,
    /// How the rows are read, where there are several ways.
    way: Option<String>,
}

/// What the meters of a read show.
pub(crate) fn measured(meters: &[Meter]) -> Vec<Measured> {
    let measured = |meter: &Meter| {
        let time = |phase| meter.time(phase).map(|time| time.as_secs_f64());
        Measured {
            start: time(Phase::Started),
            connected: time(Phase::Connected),
            first_rows: time(Phase::FirstRows),
            end: time(Phase::Ended),
            waited: meter.waited().as_secs_f64(),
            held: meter.held().as_secs_f64(),
            rows: meter.rows(),
            bytes: meter.bytes(),
            worker: meter.worker(),
            estimated_rows: meter.estimated_rows(),
            way: meter.way(),
        }
    };
    meters.iter().map(measured).collect()
}
