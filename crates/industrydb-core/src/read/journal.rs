//! Log lines of a read: one at its start, one at the end of each partition, one at the end of all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::meter::{Meter, Phase};

/// Log of one read.
pub(crate) struct Journal {
    began: Instant,
    /// Whether the end of the read is logged.
    is_told: AtomicBool,
    /// Rows and bytes of each partition whose read has ended without an error.
    ended: Mutex<Vec<Option<Size>>>,
}

#[derive(Clone, Copy)]
struct Size {
    rows: u64,
    bytes: u64,
}

impl Journal {
    /// Logs the start of a read.
    pub(crate) fn begin(partitions: usize, workers: usize) -> Self {
        let partly = workers < partitions;
        log::info!(
            "reading {}{}",
            counted(partitions),
            if partly {
                format!(", {workers} at a time")
            } else {
                String::new()
            }
        );
        Self {
            began: Instant::now(),
            is_told: AtomicBool::new(false),
            ended: Mutex::new(vec![None; partitions]),
        }
    }

    /// Logs the end of a partition, unless the read has only one. `bytes` returns the partition's
    /// size in memory, for connectors that do not count the bytes that they receive.
    pub(crate) fn end_partition(&self, index: usize, meter: &Meter, bytes: impl FnOnce() -> usize) {
        let size = Size {
            rows: meter.rows(),
            bytes: match meter.bytes() {
                0 => bytes() as u64,
                received => received,
            },
        };
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(partition) = ended.get_mut(index) {
            *partition = Some(size); // a partition that is read again has its last size
        }
        let partitions = ended.len();
        drop(ended); // the log may wait for Python
        if partitions > 1 {
            let times = (meter.time(Phase::Started), meter.time(Phase::Ended));
            let duration = match times {
                (Some(started), Some(ended)) => ended.saturating_sub(started),
                _ => Duration::ZERO,
            };
            log::info!(
                "partition {} of {partitions}: {}",
                index + 1,
                told(size, duration)
            );
        }
    }

    /// Logs the end of the read, if all partitions have ended without an error.
    pub(crate) fn end(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Option<Vec<Size>> = ended.iter().copied().collect();
        drop(ended);
        let Some(all) = all else { return };
        self.is_told.store(true, Ordering::Relaxed);
        let size = Size {
            rows: all.iter().map(|size| size.rows).sum(),
            bytes: all.iter().map(|size| size.bytes).sum(),
        };
        log::info!(
            "read {}: {}",
            counted(all.len()),
            told(size, self.began.elapsed())
        );
    }
}

impl Drop for Journal {
    /// Logs that the read has ended before its last row, by an error or because nobody wanted more.
    fn drop(&mut self) {
        if self.is_told.load(Ordering::Relaxed) {
            return;
        }
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let complete = ended.iter().flatten().count();
        let partitions = ended.len();
        drop(ended);
        log::info!(
            "ended in the middle: {complete} of {} complete, {:.3} s",
            counted(partitions),
            self.began.elapsed().as_secs_f64()
        );
    }
}

fn counted(partitions: usize) -> String {
    format!(
        "{partitions} partition{}",
        if partitions == 1 { "" } else { "s" }
    )
}

fn told(size: Size, duration: Duration) -> String {
    let rows = if size.rows == 1 { "row" } else { "rows" };
    format!(
        "{} {rows}, {} bytes, {:.3} s",
        size.rows,
        size.bytes,
        duration.as_secs_f64()
    )
}
