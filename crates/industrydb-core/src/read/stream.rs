//! A read that hands over batches while it goes on: never more in memory than a batch or two per
//! worker.
//!
//! All batches have one schema, which is announced before the first of them. Where the values of a
//! column decide which type it becomes, that column is read twice, by itself at first.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use polars_core::prelude::DataFrame;

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::data::size::buffer_bytes;
use crate::data::stack::{empty, stack_as_described};
use crate::read::connector::{DatabaseConnector, Described};
use crate::read::executor::{Begun, begun, located, planned};
use crate::read::meter::{Meter, Meters, Phase};
use crate::read::output::Output;
use crate::read::partition::{Partition, Split};
use crate::read::request::Request;
use crate::read::settle::{narrowed, settled};
use crate::read::workers::{TICK, on_workers, yield_to_server};
use crate::schema::column_type::ColumnType;

/// How a stream is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// The rows of a batch; the last one of a partition may have fewer.
    pub batch_rows: usize,
    /// Whether each partition has a channel of its own, so that its batches can be taken by
    /// themselves; otherwise the batches of all come as they arrive, by the first channel.
    pub separately: bool,
    /// The most sessions that are open at the same time.
    pub max_sessions: usize,
    /// The types that columns whose values decide are known to need.
    pub known: Vec<(String, ColumnType)>,
    /// How long the whole read may take.
    pub timeout: Option<Duration>,
}

/// A batch, or nothing behind the last one of a partition.
type Message = Result<Option<DataFrame>>;

/// A read that goes on in threads of its own. Dropped, it ends, and its sessions are closed.
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
    /// When a session or the plan cannot be made; what happens later comes in place of a batch.
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
        let partitions: Arc<[Partition]> = plan.partitions.into();
        let meters = Meter::of(&partitions);
        let (senders, channels) = channels(partitions.len(), options.separately);
        let schema = empty(&query.fields)?;
        let work = Work {
            query,
            partitions: Arc::clone(&partitions),
            meters: Arc::clone(&meters),
            batch_rows: options.batch_rows,
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

    /// A frame without rows, of the schema that all batches have.
    pub fn schema(&self) -> &DataFrame {
        &self.schema
    }

    /// The partitions, in the order of the result's rows.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// What is measured of the partitions.
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// How many channels there are.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Waits a moment for the next message of a channel; `None` where there is none yet.
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
            // Each partition says when it ends: this one did not come to that.
            Err(RecvTimeoutError::Disconnected) => Some(Err(if self.stop.is_set() {
                Error::Interrupted
            } else {
                Error::Internal("a worker thread panicked".to_owned())
            })),
        }
    }

    /// Ends the read, cancels what the database does for it, and waits until its sessions are
    /// closed.
    pub fn close(&mut self) {
        self.stop.set();
        self.channels.clear(); // nobody waits to hand something over any more
        if let Some(owner) = self.owner.take() {
            let _ = owner.join(); // a panic has ended the channels
        }
    }

    /// Forgets a read that goes on in another process.
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

/// A frame without rows, of the schema that all batches of a request would have.
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

/// The ends of the channels: one channel for each partition, or one for all.
fn channels(partitions: usize, separately: bool) -> (Vec<Sender<Message>>, Vec<Receiver<Message>>) {
    if separately {
        // What waits here would be in memory for each partition: a worker holds its batch until it
        // is taken.
        return (0..partitions).map(|_| bounded(0)).unzip();
    }
    let (sender, receiver) = bounded(1);
    (vec![sender; partitions], vec![receiver])
}

/// What the threads of a stream share.
struct Work {
    query: Described,
    partitions: Arc<[Partition]>,
    meters: Meters,
    batch_rows: usize,
    stop: Stop,
}

impl Work {
    fn run(&self, senders: &[Sender<Message>], workers: usize) {
        yield_to_server();
        let indices: Vec<usize> = (0..self.partitions.len()).collect();
        let read = |index: usize| {
            let end = self.read(index, &senders[index]).map(|()| None);
            let _ = self.hand_over(&senders[index], end); // nobody may wait for it any more
        };
        let started = on_workers(&indices, workers, read, || self.query.reader.retire());
        if let (Err(error), Some(sender)) = (started, senders.first()) {
            let _ = self.hand_over(sender, Err(error));
        }
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
            // Its own count of bytes is the connector's, where it has one.
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
        result.map_err(|error| located(error, index, &self.partitions))
    }

    /// Waits until the message is taken.
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
