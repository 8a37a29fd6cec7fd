//! Runs one blocking cursor per partition on its own thread pool, and collects the chunks.

use std::sync::{Mutex, OnceLock, PoisonError};

use polars_core::prelude::DataFrame;

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::data::size::chunk_bytes;
use crate::data::stack::{stack, stack_as_described};
use crate::read::connector::{DatabaseConnector, Described, Division, Reader};
use crate::read::held::{HeldSnapshot, Hold, cannot_hold};
use crate::read::journal::Journal;
use crate::read::meter::{Meter, Meters, Phase};
use crate::read::output::Output;
use crate::read::partition::{MAX_PARTITIONS, Partition, Plan, Split};
use crate::read::planner;
use crate::read::request::{Request, reject_changed_names};
use crate::read::settle::{describe, described, narrowed, settled};
use crate::read::workers::{beside, on_workers};

/// Default for the largest number of sessions that one read opens; further partitions wait for a
/// free session. PostgreSQL admits 100 sessions by default, and other clients need some too.
pub const MAX_SESSIONS: usize = 32;

/// Largest number of times that a query is planned if its columns are altered meanwhile.
const MAX_PLANS: usize = 5;

/// Reads a request, in partitions if a split is given, into one frame.
///
/// At most `max_sessions` sessions are open at the same time. A request with settled types has them
/// for all columns, and the frame gets these types: a value that does not fit is an error.
///
/// # Errors
///
/// The first error of any partition; the other partitions are then stopped, and no frame is
/// returned.
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
    let journal = Journal::begin(parts.len(), workers);
    let meters = meters.get_or_init(|| Meter::of(parts));
    let reader = query.reader.as_ref();
    let all = || read_partitions(reader, parts, meters, &journal, workers, stop);
    let read = || {
        if stop.looks_here() && !reader.checks_often() {
            beside(stop, all)
        } else {
            all()
        }
    };
    let frame = if request.settled.is_empty() {
        stack(&query.fields, read()?)
    } else {
        let frame = read().and_then(|chunks| stack_as_described(&query.fields, chunks));
        frame.map_err(with_plan_remedy)
    }?;
    journal.end();
    Ok(frame)
}

/// Opens a session that holds a snapshot for the reads of other processes.
///
/// # Errors
///
/// [`Error::Configuration`] if the database cannot; when the session cannot be opened, or the
/// database refuses what it holds the snapshot for.
pub fn hold(
    connector: &dyn DatabaseConnector,
    hold: &Hold,
    stop: &Stop,
) -> Result<Box<dyn HeldSnapshot>> {
    let holder = connector.holder().ok_or_else(cannot_hold)?;
    holder.hold(hold, stop)
}

/// Adds to a conversion error that the value may be newer than the plan that settled the types.
pub(crate) fn with_plan_remedy(mut error: Error) -> Error {
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

/// Planned query whose sessions are open for the read.
pub(crate) struct Begun {
    pub(crate) query: Described,
    pub(crate) plan: Plan,
    /// Number of workers that can read at the same time.
    pub(crate) workers: usize,
}

/// Plans a query by `plan` and opens the sessions that read it. Plans it again, up to [`MAX_PLANS`]
/// times in all, if its columns are altered between the two, or a view so that it cannot be divided.
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
            let is_same = sessions <= 1 || query.reader.begin_apart(sessions, stop)?;
            is_same.then_some(sessions)
        };
        if let Some(workers) = workers
            && (!request.snapshot || is_divisible(&query, &plan, stop)?)
        {
            warn_of_own_tables(request, workers);
            return Ok(Begun {
                query,
                plan,
                workers,
            });
        }
        log::debug!("the query's columns or its database have changed since it was described");
    }
    Err(Error::Query {
        message: format!(
            "the query's columns or its database have changed {MAX_PLANS} times between the description \
             and the read; read again"
        ),
        code: None,
        partition: None,
        is_transient: true,
    })
}

/// Returns whether a plan's query can be divided now that the sessions hold its definitions: a view may
/// have been replaced since by one whose rows differ from evaluation to evaluation.
fn is_divisible(query: &Described, plan: &Plan, stop: &Stop) -> Result<bool> {
    let Some(cut) = plan.partitions.iter().find_map(|it| it.cut.as_ref()) else {
        return Ok(true);
    };
    Ok(match query.reader.divide(cut.target, stop)? {
        Division::Cut(_) => true,
        Division::Whole(reason) => {
            log::debug!("{reason} now");
            false
        }
    })
}

/// Plans a request like [`plan`], with settled types: columns whose type depends on their values
/// are read to find the type that all of their values need. If this read fails with a conversion
/// error, such as for values without a common type, no types are settled: the later read of the
/// partition then reports the error.
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

/// Returns the names of the columns whose final type depends on their values.
///
/// # Errors
///
/// As for [`plan`].
pub fn open_columns(
    connector: &dyn DatabaseConnector,
    request: &Request,
    stop: &Stop,
) -> Result<Vec<String>> {
    describe(connector, request, stop)?.open_columns(stop)
}

/// Warns of temporary tables of the sessions: each session fills its own.
fn warn_of_own_tables(request: &Request, workers: usize) {
    let is_temporary = |word: &str| {
        ["TEMPORARY", "TEMP"]
            .iter()
            .any(|t| word.eq_ignore_ascii_case(t))
    };
    let mut words = request.setup.iter().flat_map(|sql| sql.split_whitespace());
    if workers > 1 && words.any(is_temporary) {
        log::warn!(
            "pre_execution_query makes a temporary table in each of {workers} sessions, at different times: the read sees \
             one moment of stored tables only"
        );
    }
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

/// Reads every partition. Reads a partition again if a later one has shown that one of its columns
/// needs another type.
fn read_partitions(
    reader: &dyn Reader,
    parts: &[Partition],
    meters: &[Meter],
    journal: &Journal,
    workers: usize,
    stop: &Stop,
) -> Result<Vec<Chunk>> {
    let mut chunks: Vec<Option<Chunk>> = parts.iter().map(|_| None).collect();
    loop {
        let missing: Vec<usize> = (0..parts.len()).filter(|i| chunks[*i].is_none()).collect();
        if missing.is_empty() {
            return Ok(chunks.into_iter().flatten().collect());
        }
        for (index, chunk) in read_some(reader, parts, meters, journal, &missing, workers, stop)? {
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
    journal: &Journal,
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
        if let Ok(chunk) = &result {
            journal.end_partition(index, meter, || chunk_bytes(chunk));
        }
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(chunk) => outcome.0.push((index, chunk)),
            Err(error) => {
                // The first error counts: it stops the other partitions.
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

/// Adds the partition to an error if there are several.
pub(crate) fn located(error: Error, index: usize, parts: &[Partition]) -> Error {
    if parts.len() > 1 {
        error.in_partition(index + 1)
    } else {
        error
    }
}
