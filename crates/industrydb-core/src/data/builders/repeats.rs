//! Table of long values, so that repeated ones, such as padded texts, states and categories, are
//! stored once.

use polars_arrow::array::View;

/// Number of bits of a slot's number: the table has 4096 slots, which take 64 KiB. The bytes of a
/// value decide its slot.
const SLOTS_BITS: u32 = 12;
/// Number of values that are looked up before the hits are counted.
const WINDOW: u32 = 512;
/// Largest number of lookups per hit at which looking up goes on.
const WORTH_ONE_IN: u32 = 8;
/// Number of values at the beginning to store without a lookup, since a small result has no use for
/// a table.
const FIRST_REST: u32 = 128;
/// Number of values to store without a lookup after a first window with too few hits; fourfold
/// after each further one.
const SHORT_REST: u32 = 1 << 10;
/// Largest number of values to store without a lookup. Lookups then cost next to nothing, and a
/// column that begins to repeat is still noticed.
const LONG_REST: u32 = 256 << 10;

/// 2⁶⁴ ÷ the golden ratio; multiplying by it spreads bits upwards.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Table of where the values of a column were written.
///
/// A slot only suggests a value: the bytes must be compared.
pub(super) struct Repeats {
    views: Vec<View>,
    /// Number of next values to store without a lookup.
    rest: u32,
    next_rest: u32,
    tried: u32,
    hits: u32,
    /// Slot of the value that was looked up last, if it was not found.
    missed: Option<usize>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            views: Vec::new(),
            rest: FIRST_REST,
            next_rest: SHORT_REST,
            tried: 0,
            hits: 0,
            missed: None,
        }
    }
}

impl Repeats {
    /// Returns whether to store the next value without a lookup, and counts that value.
    #[inline]
    pub(super) fn rests(&mut self) -> bool {
        let rests = self.rest > 0;
        self.rest -= u32::from(rests);
        rests
    }

    /// Looks up a value longer than 12 bytes; returns the view of an equal value, if one is known.
    /// `is_equal` compares the bytes.
    pub(super) fn find(&mut self, bytes: &[u8], is_equal: impl Fn(View) -> bool) -> Option<View> {
        if self.views.is_empty() {
            self.views = vec![View::default(); 1 << SLOTS_BITS];
        }
        let slot = slot(bytes);
        let view = self.views[slot];
        let is_known = view.length as usize == bytes.len() && is_equal(view);
        self.missed = (!is_known).then_some(slot);
        self.count(is_known);
        is_known.then_some(view)
    }

    /// Records the view of the value that was looked up last, if it was not found.
    #[inline]
    pub(super) fn note(&mut self, view: View) {
        if let Some(slot) = self.missed.take() {
            self.views[slot] = view;
        }
    }

    fn count(&mut self, is_hit: bool) {
        self.tried += 1;
        self.hits += u32::from(is_hit);
        if self.tried < WINDOW {
            return;
        }
        if self.hits * WORTH_ONE_IN < self.tried {
            self.rest = self.next_rest;
            self.next_rest = LONG_REST.min(self.next_rest * 4);
        } else {
            self.next_rest = SHORT_REST;
        }
        (self.tried, self.hits) = (0, 0);
    }
}

/// Returns the slot of a value of 8 bytes or more, by its length and the bytes at its ends and in
/// its middle.
#[inline]
fn slot(bytes: &[u8]) -> usize {
    let eight = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(eight)
    };
    let last = bytes.len() - 8;
    let parts = [bytes.len() as u64, eight(0), eight(last / 2), eight(last)];
    let mixed = parts.into_iter().fold(0_u64, |mixed, part| {
        (mixed.rotate_left(5) ^ part).wrapping_mul(SPREAD)
    });
    (mixed >> (u64::BITS - SLOTS_BITS)) as usize
}
