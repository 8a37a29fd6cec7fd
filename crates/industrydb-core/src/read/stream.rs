//! Read that hands over batches while it goes on: memory never holds more than one or two batches
//! per worker.
//!
//! All batches have one schema, which is announced before the first batch. A column whose type
//! depends on its values is read twice: first alone, to find its type.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use polars_core::prelude::DataFrame;

use crate::base::error::{Error, Result};
use crate::base::stop::{Stop, TICK};
use crate::data::chunk::Chunk;
use crate::data::size::buffer_bytes;
use crate::data::stack::{empty, stack_as_described};
use crate::read::connector::{DatabaseConnector, Described};
use crate::read::executor::{Begun, begun, located, planned, with_plan_remedy};
use crate::read::journal::Journal;
use crate::read::meter::{Meter, Meters, Phase};
use crate::read::output::Output;
use crate::read::partition::{Partition, Split};
use crate::read::request::{Request, reject_changed_names};
use crate::read::settle::{narrowed, settled};
use crate::read::workers::{on_workers, yield_to_server};
use crate::schema::column_type::ColumnType;

/// Options of a stream.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of rows of a batch. The last batch of a partition, and batches of large values, may
    /// have fewer.
    pub batch_rows: usize,
    /// Whether each partition has its own channel, so that its batches can be taken separately;
    /// otherwise the batches of all partitions come by the first channel, in the order of their
    /// arrival.
    pub separately: bool,
    /// Largest number of sessions that are open at the same time.
    pub max_sessions: usize,
    /// Known types of columns whose type depends on their values, so that these need not be read
    /// twice.
    pub known: Vec<(String, ColumnType)>,
    /// Time limit of the whole read, if any.
    pub timeout: Option<Duration>,
}

/// A batch; `None` after the last batch of a partition.
type Message = Result<Option<DataFrame>>;

/// Read that runs in its own threads. Dropping the stream ends the read and closes its sessions.
pub struct Stream {
    schema: DataFrame,
    channels: Vec<Receiver<Message>>,
    partitions: Arc<[Partition]>,
    meters: Meters,
    stop: Stop,
    deadline: Option<(Instant, Duration)>,
    owner: Option<JoinHandle<()>>,
}

impl Stream {
    /// Describes and plans a request, and begins to read.
    ///
    /// # Errors
    ///
    /// When a session or the plan cannot be made; a later error comes in place of a batch.
    pub fn start(
        connector: &dyn DatabaseConnector,
        request: &Request,
        split: Option<&Split>,
        options: &Options,
        stop: &Stop,
    ) -> Result<Self> {
        let deadline = options.timeout.map(|timeout| (Instant::now(), timeout));
        let request = &narrowed(request, connector, stop)?;
        let sessions = options.max_sessions;
        let plan = || {
            let query = settled(connector, request, &options.known, stop)?;
            let plan = planned(&query, split, sessions, stop)?;
            Ok((query, plan))
        };
        let Begun {
            query,
            plan,
            workers,
        } = begun(plan, request, sessions, stop)?;
        reject_changed_names(request, &query.fields)?;
        let partitions: Arc<[Partition]> = plan.partitions.into();
        let meters = Meter::of(&partitions);
        let (senders, channels) = channels(partitions.len(), options.separately);
        let schema = empty(&query.fields)?;
        let work = Work {
            journal: Journal::begin(partitions.len(), workers),
            query,
            partitions: Arc::clone(&partitions),
            meters: Arc::clone(&meters),
            batch_rows: options.batch_rows,
            is_planned: !request.settled.is_empty(),
            stop: stop.clone(),
        };
        let owner = thread::Builder::new()
            .name("industrydb-stream".to_owned())
            .spawn(move || work.run(&senders, workers))
            .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            schema,
            channels,
            partitions,
            meters,
            stop: stop.clone(),
            deadline,
            owner: Some(owner),
        })
    }

    /// Returns a frame without rows, with the schema of all batches.
    pub fn schema(&self) -> &DataFrame {
        &self.schema
    }

    /// Returns the partitions, in the order of the result's rows.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Returns the measurements of the partitions.
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// Returns the number of channels.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Waits up to 50 ms for the next message of a channel; `None` if there is none yet.
    pub fn receive(&self, channel: usize) -> Option<Message> {
        let is_over = |(started, timeout): (Instant, Duration)| {
            (started.elapsed() >= timeout).then_some(timeout)
        };
        if let Some(timeout) = self.deadline.and_then(is_over) {
            self.stop.set();
            let wait = self.stop.wait();
            return Some(Err(Error::timed_out(timeout, wait.as_deref())));
        }
        match self.channels.get(channel)?.recv_timeout(TICK) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            // Each partition sends a message at its end; this one has not got that far.
            Err(RecvTimeoutError::Disconnected) => Some(Err(if self.stop.is_set() {
                Error::Interrupted
            } else {
                Error::Internal("a worker thread panicked".to_owned())
            })),
        }
    }

    /// Ends the read, cancels its running statements, and waits until its sessions are closed.
    pub fn close(&mut self) {
        self.stop.set();
        self.channels.clear(); // no worker waits to hand over a batch any more
        if let Some(owner) = self.owner.take() {
            let _ = owner.join(); // a panic has closed the channels
        }
    }

    /// Forgets a read that goes on in another process, so that dropping the stream does not end it.
    pub fn forget(&mut self) {
        self.owner = None;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.owner.is_some() {
            self.close();
        }
    }
}

/// Returns a frame without rows, with the schema that all batches of a request would have.
///
/// # Errors
///
/// As for [`Stream::start`].
pub fn schema(
    connector: &dyn DatabaseConnector,
    request: &Request,
    stop: &Stop,
) -> Result<DataFrame> {
    let request = &narrowed(request, connector, stop)?;
    empty(&settled(connector, request, &[], stop)?.fields)
}

/// Creates one channel for each partition, or one for all; returns a sender for each partition, and
/// the receivers.
fn channels(partitions: usize, separately: bool) -> (Vec<Sender<Message>>, Vec<Receiver<Message>>) {
    if separately {
        // A batch that waits in a channel would take memory for each partition: a worker holds its
        // batch until it is taken.
        return (0..partitions).map(|_| bounded(0)).unzip();
    }
    let (sender, receiver) = bounded(1);
    (vec![sender; partitions], vec![receiver])
}

/// Data that the threads of a stream share.
struct Work {
    journal: Journal,
    query: Described,
    partitions: Arc<[Partition]>,
    meters: Meters,
    batch_rows: usize,
    /// Whether an earlier plan has settled the types of all columns.
    is_planned: bool,
    stop: Stop,
}

impl Work {
    fn run(&self, senders: &[Sender<Message>], workers: usize) {
        yield_to_server();
        let indices: Vec<usize> = (0..self.partitions.len()).collect();
        let read = |index: usize| {
            let end = self.read(index, &senders[index]).map(|()| None);
            let _ = self.hand_over(&senders[index], end); // the receiver may be gone
        };
        let started = on_workers(&indices, workers, read, || self.query.reader.retire());
        if let (Err(error), Some(sender)) = (started, senders.first()) {
            let _ = self.hand_over(sender, Err(error));
        }
        self.journal.end();
    }

    fn read(&self, index: usize, sender: &Sender<Message>) -> Result<()> {
        self.stop.check()?;
        let meter = &self.meters[index];
        meter.start();
        let mut size = 0;
        let mut take = |chunk: Chunk| {
            if chunk.height == 0 {
                return Ok(());
            }
            let batch = stack_as_described(&self.query.fields, vec![chunk])?;
            // The size of the batch counts only if the connector does not count received bytes.
            if meter.bytes() == size {
                meter.add_bytes(buffer_bytes(&batch));
                size = meter.bytes();
            }
            meter.holding(|| self.hand_over(sender, Ok(Some(batch))))
        };
        let mut output = Output::batches(self.batch_rows, meter, &mut take);
        let partition = &self.partitions[index];
        let result = self
            .query
            .reader
            .read_into(partition, &mut output, &self.stop);
        meter.reach(Phase::Ended);
        if result.is_ok() {
            self.journal.end_partition(index, meter, || 0);
        }
        result.map_err(|error| {
            let error = if self.is_planned {
                with_plan_remedy(error)
            } else {
                error
            };
            located(error, index, &self.partitions)
        })
    }

    /// Sends a message, and waits until the channel takes it.
    fn hand_over(&self, sender: &Sender<Message>, mut message: Message) -> Result<()> {
        loop {
            match sender.send_timeout(message, TICK) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => message = back,
                Err(SendTimeoutError::Disconnected(_)) => return Err(Error::Interrupted),
            }
            self.stop.check()?;
        }
    }
}
