//! What is measured of the partitions of a read.

use industrydb_core::Meter;
use industrydb_core::meter::Phase;

/// Seconds from the beginning to the start of a partition, its session, its first rows and its end, as far as it has
/// come; the seconds that it waited for the database, and for its batches to be taken; its rows, bytes and worker, and
/// how many rows were expected.
pub(crate) type Measured = (
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    f64,
    f64,
    u64,
    u64,
    u64,
    Option<f64>,
);

/// What the meters of a read show.
pub(crate) fn measured(meters: &[Meter]) -> Vec<Measured> {
    let measured = |meter: &Meter| {
        let time = |phase| meter.time(phase).map(|time| time.as_secs_f64());
        (
            time(Phase::Started),
            time(Phase::Connected),
            time(Phase::FirstRows),
            time(Phase::Ended),
            meter.waited().as_secs_f64(),
            meter.held().as_secs_f64(),
            meter.rows(),
            meter.bytes(),
            meter.worker(),
            meter.estimated_rows(),
        )
    };
    meters.iter().map(measured).collect()
}
