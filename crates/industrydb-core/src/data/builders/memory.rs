//! Growth of a column's vectors.

/// Number of rows that a column first makes room for.
const FIRST_ROWS: usize = 64;

/// Factor by which vectors grow. Reserved memory that is not touched costs nothing, and a vector
/// that moves less often is copied less. Growing from 64 rows reaches 65,536, the rows of a batch,
/// exactly.
const FACTOR: usize = 4;

/// Makes room for at least one more value.
#[cold]
#[inline(never)]
pub(super) fn grow<T>(values: &mut Vec<T>) {
    values.reserve_exact((values.capacity() * (FACTOR - 1)).max(FIRST_ROWS));
}
