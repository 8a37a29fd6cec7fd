//! Growth of a column's vectors.

use crate::base::allocator;

/// Number of values that a column first makes room for.
const FIRST_VALUES: usize = 64;

/// Factor by which vectors grow. Reserved memory that is not touched costs nothing, and a vector
/// that moves less often is copied less. Growing from 64 rows reaches 65,536, the rows of a batch,
/// exactly.
const FACTOR: usize = 4;

/// Vector of a column's values, whose memory is chosen piece by piece.
#[derive(Default)]
pub(super) struct Values<T> {
    values: Vec<T>,
    /// Number of values up to which the memory is chosen.
    room: usize,
}

impl<T> Values<T> {
    /// Appends a value.
    #[inline]
    pub(super) fn push(&mut self, value: T) {
        if self.values.len() == self.room {
            self.grow();
        }
        self.values.push(value);
    }

    /// Appends what `convert` makes of items, until it makes nothing of one, and returns that item.
    /// Many items at a time are faster than single ones.
    #[inline]
    pub(super) fn extend_while<I: Iterator>(
        &mut self,
        items: &mut I,
        convert: impl Fn(&I::Item) -> Option<T>,
    ) -> Option<I::Item> {
        loop {
            let before = self.values.len();
            let room = self.room - before;
            let mut count = 0;
            let mut end = None;
            for free in self.values.spare_capacity_mut().iter_mut().take(room) {
                let item = items.next();
                if let Some(value) = item.as_ref().and_then(&convert) {
                    free.write(value);
                    count += 1;
                } else {
                    end = Some(item);
                    break;
                }
            }
            // SAFETY: so many values behind the others were written.
            unsafe { self.values.set_len(before + count) };
            if let Some(item) = end {
                return item;
            }
            let item = items.next()?;
            match convert(&item) {
                Some(value) => self.push(value),
                None => return Some(item),
            }
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Makes room for at least one more value.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        if self.room == self.values.capacity() {
            let more = (self.room * (FACTOR - 1)).max(FIRST_VALUES);
            self.values.reserve_exact(more);
        }
        self.room = allocator::room(&mut self.values, 1);
    }

    /// Creates an empty vector that never moves, for a number of values.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            values: Vec::with_capacity(capacity),
            room: 0,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.values.capacity()
    }

    /// Returns whether there is room for some more values without [`open`](Self::open).
    #[inline]
    pub(super) fn has_room(&self, more: usize) -> bool {
        more <= self.room - self.values.len()
    }

    /// Makes room for some more values within the capacity; returns whether they fit there.
    #[cold]
    #[inline(never)]
    pub(super) fn open(&mut self, more: usize) -> bool {
        let fits = more <= self.values.capacity() - self.values.len();
        if fits {
            self.room = allocator::room(&mut self.values, more);
        }
        fits
    }

    /// Appends values for which there is room.
    #[inline]
    pub(super) fn extend_from_slice(&mut self, values: &[T])
    where
        T: Copy,
    {
        debug_assert!(self.has_room(values.len()));
        self.values.extend_from_slice(values);
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        &self.values
    }

    /// Returns the values, without the unused memory.
    pub(super) fn finish(mut self) -> Vec<T> {
        self.values.shrink_to_fit();
        self.values
    }
}
