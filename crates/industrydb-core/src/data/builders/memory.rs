//! How the large vectors of a column grow.

/// Rows that a column has room for from the start.
const FIRST_ROWS: usize = 64;

/// Vectors grow fourfold: what is reserved and not touched costs no memory, and the rarer a vector
/// moves, the less is copied. 64 rows come to 65,536, a batch, exactly.
const FACTOR: usize = 4;

/// Makes room for at least one more value.
#[cold]
#[inline(never)]
pub(super) fn grow<T>(values: &mut Vec<T>) {
    values.reserve_exact((values.capacity() * (FACTOR - 1)).max(FIRST_ROWS));
}
