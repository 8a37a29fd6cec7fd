//! Runs one blocking cursor per partition, on a pool of its own, and collects what they read.

use std::sync::{Mutex, OnceLock, PoisonError};

use polars_core::prelude::DataFrame;

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::data::stack::{stack, stack_as_described};
use crate::read::connector::{DatabaseConnector, Described, Reader};
use crate::read::meter::{Meter, Meters, Phase};
use crate::read::output::Output;
use crate::read::partition::{MAX_PARTITIONS, Partition, Plan, Split};
use crate::read::planner;
use crate::read::request::{Request, reject_changed_names};
use crate::read::settle::{described, narrowed, settled};
use crate::read::workers::on_workers;

/// The most sessions that one read opens unless told otherwise; further partitions wait for a free
/// one. PostgreSQL admits 100 sessions by default, and others want some too.
pub const MAX_SESSIONS: usize = 32;

/// How often a query is planned whose columns are altered meanwhile.
const MAX_PLANS: usize = 5;

/// Reads a request, in partitions if a split is given, into one frame.
///
/// At most `max_sessions` are open at the same time. Where the request has settled types, it has
/// those of all columns, and the frame has these: a value that does not fit is an error.
///
/// # Errors
///
/// Whatever went wrong first; the other partitions are then stopped, and no frame is returned.
pub fn read(
    connector: &dyn DatabaseConnector,
    request: &Request,
    split: Option<&Split>,
    max_sessions: usize,
    meters: &OnceLock<Meters>,
    stop: &Stop,
) -> Result<DataFrame> {
    let plan = || plan(connector, request, split, max_sessions, stop);
    let Begun {
        query,
        plan,
        workers,
    } = begun(plan, request, max_sessions, stop)?;
    let parts = &plan.partitions;
    reject_changed_names(request, &query.fields)?;
    log::debug!("reading {} partition(s)", parts.len());
    let meters = meters.get_or_init(|| Meter::of(parts));
    let read = || read_partitions(query.reader.as_ref(), parts, meters, workers, stop);
    if request.settled.is_empty() {
        stack(&query.fields, read()?)
    } else {
        let frame = read().and_then(|chunks| stack_as_described(&query.fields, chunks));
        frame.map_err(with_plan_remedy)
    }
}

/// Says in an error that a value may be newer than the types that were settled for it.
fn with_plan_remedy(mut error: Error) -> Error {
    if let Error::Conversion(conversion) = &mut error {
        let remedy = &mut conversion.cell.remedy;
        remedy.push_str("; if the value is newer than the plan, plan the read again");
    }
    error
}

/// Describes a request and cuts it into partitions, which are not read yet.
///
/// # Errors
///
/// When a session or the plan cannot be made, or two columns have the same name.
pub fn plan(
    connector: &dyn DatabaseConnector,
    request: &Request,
    split: Option<&Split>,
    max_sessions: usize,
    stop: &Stop,
) -> Result<(Described, Plan)> {
    let request = &narrowed(request, connector, stop)?;
    let query = described(connector, request, stop)?;
    let plan = planned(&query, split, max_sessions, stop)?;
    Ok((query, plan))
}

/// A query whose sessions have begun to read.
pub(crate) struct Begun {
    pub(crate) query: Described,
    pub(crate) plan: Plan,
    /// How many workers can read at the same time.
    pub(crate) workers: usize,
}

/// Plans a query by `plan` and opens the sessions that read it; again where its columns are altered
/// between the two.
pub(crate) fn begun(
    plan: impl Fn() -> Result<(Described, Plan)>,
    request: &Request,
    max_sessions: usize,
    stop: &Stop,
) -> Result<Begun> {
    for _ in 0..MAX_PLANS {
        let (query, plan) = plan()?;
        let partitions = plan.partitions.len();
        let workers = if request.snapshot {
            query.reader.begin(partitions, max_sessions, stop)?
        } else {
            let sessions = partitions.min(max_sessions);
            if sessions > 1 {
                query.reader.begin_apart(sessions, stop)?;
            }
            Some(sessions)
        };
        if let Some(workers) = workers {
            return Ok(Begun {
                query,
                plan,
                workers,
            });
        }
        log::debug!("the query's columns have changed since it was described");
    }
    Err(Error::Query {
        message: format!(
            "the query's columns have changed {MAX_PLANS} times between their description and the \
             read; read again"
        ),
        code: None,
        partition: None,
        is_transient: true,
    })
}

/// As [`plan`], and each column has the type that all of its values need: columns whose values
/// decide are read for it. Where these have no type in common, which the read of one of the
/// partitions says then, it has its own.
///
/// # Errors
///
/// As for [`plan`].
pub fn settled_plan(
    connector: &dyn DatabaseConnector,
    request: &Request,
    split: Option<&Split>,
    max_sessions: usize,
    stop: &Stop,
) -> Result<(Described, Plan)> {
    let request = &narrowed(request, connector, stop)?;
    let query = match settled(connector, request, &[], stop) {
        Err(error @ Error::Conversion(_)) => {
            log::warn!("a partition of the plan cannot be read: {error}");
            described(connector, request, stop)?
        }
        query => query?,
    };
    let plan = planned(&query, split, max_sessions, stop)?;
    Ok((query, plan))
}

/// The columns whose values decide which type they become.
///
/// # Errors
///
/// As for [`plan`].
pub fn open_columns(
    connector: &dyn DatabaseConnector,
    request: &Request,
    stop: &Stop,
) -> Result<Vec<String>> {
    connector.describe(request, stop)?.open_columns(stop)
}

pub(crate) fn planned(
    query: &Described,
    split: Option<&Split>,
    max_sessions: usize,
    stop: &Stop,
) -> Result<Plan> {
    if let Some(split) = split
        && !(1..=MAX_PARTITIONS).contains(&split.partitions)
    {
        return Err(Error::configuration(format!(
            "partitions must be from 1 to {MAX_PARTITIONS}, not {}",
            split.partitions
        )));
    }
    if max_sessions == 0 {
        return Err(Error::configuration("max_connections must be at least 1"));
    }
    planner::plan(query, split, stop)
}

/// Reads every partition, and those again whose columns a later one has shown to need another type.
fn read_partitions(
    reader: &dyn Reader,
    parts: &[Partition],
    meters: &[Meter],
    workers: usize,
    stop: &Stop,
) -> Result<Vec<Chunk>> {
    let mut chunks: Vec<Option<Chunk>> = parts.iter().map(|_| None).collect();
    loop {
        let missing: Vec<usize> = (0..parts.len()).filter(|i| chunks[*i].is_none()).collect();
        if missing.is_empty() {
            return Ok(chunks.into_iter().flatten().collect());
        }
        for (index, chunk) in read_some(reader, parts, meters, &missing, workers, stop)? {
            chunks[index] = Some(chunk);
        }
        for chunk in &mut chunks {
            chunk.take_if(|chunk| reader.is_stale(chunk));
        }
    }
}

fn read_some(
    reader: &dyn Reader,
    parts: &[Partition],
    meters: &[Meter],
    indices: &[usize],
    workers: usize,
    stop: &Stop,
) -> Result<Vec<(usize, Chunk)>> {
    let outcome = Mutex::new((Vec::with_capacity(indices.len()), None));
    let read_one = |index: usize| {
        let (part, meter) = (&parts[index], &meters[index]);
        meter.start();
        let read = |output: &mut Output| reader.read_into(part, output, stop);
        let result = stop.check().and_then(|()| Output::whole(meter, read));
        meter.reach(Phase::Ended);
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(chunk) => outcome.0.push((index, chunk)),
            Err(error) => {
                // What stopped the others is what counts.
                outcome.1.get_or_insert(located(error, index, parts));
                drop(outcome);
                stop.set();
            }
        }
    };
    on_workers(indices, workers, read_one, || reader.retire())?;
    match outcome.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (chunks, None) => Ok(chunks),
        (_, Some(error)) => Err(error),
    }
}

/// Says in an error which partition it is of, where there are several.
pub(crate) fn located(error: Error, index: usize, parts: &[Partition]) -> Error {
    if parts.len() > 1 {
        error.in_partition(index + 1)
    } else {
        error
    }
}
