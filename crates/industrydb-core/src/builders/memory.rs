//! How the large vectors of a column grow.

/// Rows that a column has room for from the start.
const FIRST_ROWS: usize = 64;

/// From this size on, vectors grow fourfold: what is reserved and not touched costs no memory, and
/// the rarer a large vector moves, the fewer of its huge pages are split.
const LARGE_BYTES: usize = 1 << 20;

/// Makes room for at least one more value.
#[cold]
#[inline(never)]
pub(super) fn grow<T>(values: &mut Vec<T>) {
    let large = values.capacity() * size_of::<T>() >= LARGE_BYTES;
    let factor = if large { 4 } else { 2 };
    values.reserve_exact((values.capacity() * (factor - 1)).max(FIRST_ROWS));
}
