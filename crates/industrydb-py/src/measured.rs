//! Measurements of the partitions of a read.

use industrydb_core::Meter;
use industrydb_core::meter::Phase;
use pyo3::prelude::*;

/// Measurements of a partition so far; times are `None` until they are reached.
#[pyclass(frozen, get_all, module = "industrydb.industrydb")]
pub(crate) struct Measured {
    /// Seconds from the beginning of the read until a worker started the partition.
    start: Option<f64>,
    /// Seconds from the beginning of the read until the partition had a session.
    connected: Option<f64>,
    /// Seconds from the beginning of the read until the first rows arrived.
    first_rows: Option<f64>,
    /// Seconds from the beginning of the read until the last row arrived.
    end: Option<f64>,
    /// Seconds spent waiting for the database.
    waited: f64,
    /// Seconds spent waiting for the consumer to take a batch.
    held: f64,
    rows: u64,
    /// Received bytes, or bytes of the batches in memory if the connector does not count; 0 if
    /// unknown.
    bytes: u64,
    worker: u64,
    /// Row count that the plan expects; `None` if unknown.
    estimated_rows: Option<f64>,
    /// How the rows are read, on databases with several ways; otherwise `None`.
    way: Option<String>,
}

/// Returns the measurements of each meter of a read.
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
