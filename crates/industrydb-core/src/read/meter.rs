//! Measurements of a partition while it is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::partition::Partition;
use crate::base::error::Result;

/// Measurements of one partition: written by the thread that reads it, and looked at by others.
#[derive(Debug)]
pub struct Meter {
    /// Start of all times.
    base: Instant,
    times: [AtomicU64; Phase::ALL.len()],
    /// Nanoseconds that the reader waited for the database.
    waited: AtomicU64,
    /// Nanoseconds that the reader waited for the consumer of the batches.
    held: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    worker: AtomicU64,
    estimated_rows: Option<f64>,
    way: Mutex<Option<String>>,
}

/// The meters of the partitions of one read.
pub type Meters = Arc<[Meter]>;

/// Phase of the read of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A worker has taken the partition.
    Started,
    /// The partition has a session.
    Connected,
    /// The first rows have arrived.
    FirstRows,
    /// The read has ended, after the last row or with an error.
    Ended,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Started, Self::Connected, Self::FirstRows, Self::Ended];
}

impl Meter {
    /// Creates one meter for each partition.
    pub fn of(partitions: &[Partition]) -> Meters {
        let now = Instant::now();
        let meter = |partition: &Partition| Self::new(now, partition.estimated_rows);
        partitions.iter().map(meter).collect()
    }

    fn new(base: Instant, estimated_rows: Option<f64>) -> Self {
        Self {
            base,
            times: Phase::ALL.map(|_| AtomicU64::default()),
            waited: AtomicU64::default(),
            held: AtomicU64::default(),
            rows: AtomicU64::default(),
            bytes: AtomicU64::default(),
            worker: AtomicU64::default(),
            estimated_rows,
            way: Mutex::default(),
        }
    }

    /// Records the time of a phase when it is first reached.
    pub fn reach(&self, phase: Phase) {
        let time = &self.times[phase as usize];
        if time.load(Ordering::Relaxed) == 0 {
            time.store(nanoseconds(self.base.elapsed()).max(1), Ordering::Relaxed);
        }
    }

    /// Records that the current thread starts to read the partition. Earlier measurements are
    /// reset, since a partition may be read again.
    pub fn start(&self) {
        let times = self.times.iter();
        for number in times.chain([&self.waited, &self.held, &self.rows, &self.bytes]) {
            number.store(0, Ordering::Relaxed);
        }
        let worker = rayon::current_thread_index().unwrap_or_default();
        self.worker.store(worker as u64, Ordering::Relaxed);
        self.reach(Phase::Started);
    }

    /// Records how many rows have been read so far.
    #[inline]
    pub fn has_read(&self, rows: usize) {
        self.rows.store(rows as u64, Ordering::Relaxed);
        if rows > 0 {
            self.reach(Phase::FirstRows);
        }
    }

    /// Records how the rows are read, for a connector with several ways to read.
    pub fn goes(&self, way: String) {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
    }

    /// Adds the number of bytes that were received.
    #[inline]
    pub fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Runs `wait`, which waits for the database, and adds the time that it takes.
    ///
    /// # Errors
    ///
    /// The error of `wait`.
    #[inline]
    pub fn waiting<T>(&self, wait: impl FnOnce() -> Result<T>) -> Result<T> {
        timed(&self.waited, wait)
    }

    /// Runs `wait`, which waits for the consumer of the batches, and adds the time that it takes.
    ///
    /// # Errors
    ///
    /// The error of `wait`.
    pub fn holding<T>(&self, wait: impl FnOnce() -> Result<T>) -> Result<T> {
        timed(&self.held, wait)
    }

    /// Returns when a phase was reached, counted from the meter's creation; `None` if it was not
    /// reached.
    pub fn time(&self, phase: Phase) -> Option<Duration> {
        match self.times[phase as usize].load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Returns how long the reader waited for the database, as far as the connector measures it.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    /// Returns how long the reader waited for the consumer of the batches.
    pub fn held(&self) -> Duration {
        Duration::from_nanos(self.held.load(Ordering::Relaxed))
    }

    /// Returns the number of rows read so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes received so far, as far as they are counted.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns how the rows are read; `None` if the connector has not recorded a way to read.
    pub fn way(&self) -> Option<String> {
        let way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        way.clone()
    }

    /// Returns the number of rows that the plan expects, if it was estimated.
    pub fn estimated_rows(&self) -> Option<f64> {
        self.estimated_rows
    }

    /// Returns the number, from 0, of the worker that reads the partition.
    pub fn worker(&self) -> u64 {
        self.worker.load(Ordering::Relaxed)
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new(Instant::now(), None)
    }
}

fn timed<T>(sum: &AtomicU64, wait: impl FnOnce() -> Result<T>) -> Result<T> {
    let since = Instant::now();
    let result = wait();
    sum.fetch_add(nanoseconds(since.elapsed()), Ordering::Relaxed);
    result
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_reached_once() {
        let meter = Meter::default();
        assert_eq!(meter.time(Phase::Connected), None);
        meter.reach(Phase::Connected);
        let first = meter.time(Phase::Connected);
        assert!(first.is_some());
        meter.reach(Phase::Connected);
        assert_eq!(meter.time(Phase::Connected), first);
        assert_eq!(meter.time(Phase::Ended), None);
    }
}
