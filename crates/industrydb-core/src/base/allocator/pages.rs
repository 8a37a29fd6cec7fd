//! Chooses the pages of growing vectors, piece by piece.
//!
//! A huge page of 2 MiB costs a fifth of the page faults and of the clearing that its 512 small
//! pages cost. But a virtual machine may have returned its free memory to the host, large blocks
//! first, and waits six times as long as for the small pages until the host has found such a block
//! again. So a vector asks before it goes on to its next 2 MiB: these are one huge page if the last
//! one was there quickly, and small pages for a while if it was not. Small pages are asked for some
//! at a time, which saves a fault for each.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::large::ALIGNMENT;

/// Size of a huge page, in bytes.
const WINDOW: usize = ALIGNMENT;
/// Size up to which a vector has small pages: the unused rest of its last huge page is memory that
/// nothing else can use.
const SMALL: usize = 2 * WINDOW;
/// Number of bytes whose small pages are asked for at a time.
const PIECE: usize = 256 << 10;
/// Processor time from which a huge page was slow. Small pages take half of it.
const SLOW: Duration = Duration::from_micros(750);
/// Number of windows with small pages after a slow huge page; twice as many after each further one.
const SHORT_REST: u32 = 32;
const LONG_REST: u32 = 1024;

static PACE: Pace = Pace {
    rest: AtomicU32::new(0),
    next_rest: AtomicU32::new(SHORT_REST),
};

/// Which windows have huge pages.
struct Pace {
    /// Number of next windows that have small pages.
    rest: AtomicU32,
    next_rest: AtomicU32,
}

impl Pace {
    /// Returns whether the next window has a huge page.
    fn is_huge(&self) -> bool {
        let (order, less) = (Ordering::Relaxed, |rest: u32| rest.checked_sub(1));
        self.rest.fetch_update(order, order, less).is_err()
    }

    /// Notes how long a huge page took.
    fn note(&self, time: Duration) {
        if time < SLOW {
            self.next_rest.store(SHORT_REST, Ordering::Relaxed);
        } else {
            let rest = self.next_rest.load(Ordering::Relaxed);
            self.rest.store(rest, Ordering::Relaxed);
            let next = LONG_REST.min(rest * 2);
            self.next_rest.store(next, Ordering::Relaxed);
        }
    }
}

/// Returns how many values a vector may hold before it asks again: at least `more` beyond those it
/// has, which its capacity holds, and at most its capacity.
#[cold]
#[inline(never)]
pub(crate) fn room<T>(values: &mut Vec<T>, more: usize) -> usize {
    let start: *mut u8 = values.as_mut_ptr().cast();
    let (capacity, size) = (values.capacity(), size_of::<T>());
    let total = capacity.saturating_mul(size);
    if total < WINDOW || !start.addr().is_multiple_of(WINDOW) {
        return capacity;
    }
    let end = total.min((values.len() + more) * size);
    let mut at = (values.len() * size).next_multiple_of(PIECE);
    while at < end {
        // SAFETY: the block is the vector's, and what begins at `at` is behind its values.
        at = unsafe { open(start, total, at) };
    }
    capacity.min(at / size)
}

/// Chooses and touches the pages of a block from `at` on, and returns where they end.
///
/// # Safety
///
/// The block must have `total` bytes at the start of a page, and nobody may need those from `at` on.
unsafe fn open(start: *mut u8, total: usize, at: usize) -> usize {
    if at >= SMALL && at.is_multiple_of(WINDOW) {
        let is_huge = at + WINDOW <= total && PACE.is_huge();
        let advice = if is_huge {
            libc::MADV_HUGEPAGE
        } else {
            libc::MADV_NOHUGEPAGE
        };
        // SAFETY: by this function's own contract. Advice for a part of a mapping would split the
        // mapping, which could then not grow.
        let is_advised = unsafe { libc::madvise(start.cast(), total, advice) == 0 };
        if is_huge && is_advised {
            let before = thread_time();
            // SAFETY: as above.
            unsafe { ptr::write_volatile(start.add(at), 0) };
            PACE.note(thread_time().saturating_sub(before));
            return at + WINDOW;
        }
    }
    let end = total.min(at + PIECE);
    // SAFETY: as above. Kernels before 5.14 do not know the advice, and give the pages later.
    unsafe { libc::madvise(start.add(at).cast(), end - at, libc::MADV_POPULATE_WRITE) };
    end
}

/// Returns the processor time that the thread has used: waits for a processor do not count.
fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the time that it is given, and fails for no clock that Linux has.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_rest_longer_while_they_are_slow() {
        let pace = Pace {
            rest: AtomicU32::new(0),
            next_rest: AtomicU32::new(SHORT_REST),
        };
        let small = || (0..5000).take_while(|_| !pace.is_huge()).count();
        let mut rests = Vec::new();
        for time in [
            [SLOW / 2; 3].as_slice(),
            &[SLOW; 8],
            &[SLOW / 2],
            &[SLOW; 2],
        ]
        .concat()
        {
            pace.note(time);
            rests.push(small());
        }
        let expected = [0, 0, 0, 32, 64, 128, 256, 512, 1024, 1024, 1024, 0, 32, 64];
        assert_eq!(rests, expected);
    }

    /// A vector keeps its values, of any size, in huge pages and in small ones.
    #[test]
    fn a_vector_asks_for_some_pages_at_a_time() {
        fn fill<T: Clone + PartialEq>(value: &T, capacity: usize) -> Vec<usize> {
            let mut values = Vec::with_capacity(capacity);
            let mut rooms = Vec::new();
            while values.len() < capacity {
                let end = room(&mut values, 1);
                assert!(values.len() < end && end <= capacity);
                rooms.push(end * size_of::<T>());
                values.resize(end, value.clone());
            }
            assert!(values.iter().all(|it| it == value));
            rooms
        }
        assert_eq!(fill(&7_u8, WINDOW - 1), [WINDOW - 1]);
        for rooms in [fill(&7_u64, WINDOW), fill(&[7_u8; 24], 9 * WINDOW / 24)] {
            let mut before = 0;
            for room in rooms {
                let most = if before + 24 < SMALL { PIECE } else { WINDOW };
                assert!(room < before + most + 24, "{before} {room}");
                before = room;
            }
        }
    }

    #[test]
    fn many_values_at_once_have_room() {
        let mut values: Vec<u8> = Vec::with_capacity(16 * WINDOW + 5);
        assert_eq!(room(&mut values, SMALL - 1), SMALL);
        assert!(room(&mut values, 5 * WINDOW + 1) > 5 * WINDOW);
        values.resize(16 * WINDOW, 1);
        assert_eq!(room(&mut values, 5), 16 * WINDOW + 5);
        assert!(values.iter().all(|it| *it == 1));
    }
}
