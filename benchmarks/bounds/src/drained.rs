//! What the programs share: a thread for each part, and the totals of all parts.

use std::error::Error;
use std::thread;
use std::time::Instant;

pub(crate) type AnyError = Box<dyn Error + Send + Sync>;

/// What one thread received or read.
#[derive(Default)]
pub(crate) struct Drained {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Drains each part in a thread of its own, and prints the totals, and the seconds that it took.
pub(crate) fn drain_all<P: Sync>(
    parts: &[P],
    drain: impl Fn(&P) -> Result<Drained, AnyError> + Sync,
) -> Result<(), AnyError> {
    let start = Instant::now();
    let drain = &drain;
    let drained = thread::scope(|scope| {
        let threads: Vec<_> = parts
            .iter()
            .map(|part| scope.spawn(move || drain(part)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked")?)
            .collect::<Result<Vec<Drained>, AnyError>>()
    })?;
    let seconds = start.elapsed().as_secs_f64();

    let rows: u64 = drained.iter().map(|part| part.rows).sum();
    let bytes: u64 = drained.iter().map(|part| part.bytes).sum();
    println!(r#"{{"rows": {rows}, "bytes": {bytes}, "seconds": {seconds:.6}}}"#);
    Ok(())
}
