//! Cuts a key column into partitions that hold every row exactly once.
//!
//! Cuts `c1 < c2 < …` make the partitions `key < c1 OR key IS NULL`, `c1 <= key AND key < c2`, …,
//! `cn <= key`. They are open at both ends, so they are exact whatever the bounds were that placed
//! the cuts: rows below the smallest, above the largest, NaN and infinities all have a partition.

/// A value that a partition can be cut at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Key {
    /// A cut of an integer column.
    Integer(i64),
    /// A cut of a floating-point column; always finite.
    Float(f64),
}

/// The smallest and the largest key, between which the cuts are placed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bounds {
    /// Of an integer column.
    Integers(i64, i64),
    /// Of a floating-point column; both finite.
    Floats(f64, f64),
}

/// The rows of one range of keys.
#[derive(Debug, Clone, PartialEq)]
pub enum Partition {
    /// The query as it stands.
    All,
    /// The rows whose key, the column at `column`, lies in a range.
    Range {
        /// The index of the key column in the result.
        column: usize,
        /// The first key inside; `None` for the first partition, which also takes the NULLs.
        lower: Option<Key>,
        /// The first key beyond; `None` for the last partition.
        upper: Option<Key>,
    },
}

/// The partitions, at most `count`, whose ranges are equally wide between the bounds.
///
/// There are fewer where the keys cannot be cut that often.
///
/// # Examples
///
/// ```
/// use industrydb_core::planner::{partitions, Bounds, Key, Partition};
///
/// let cut = Some(Key::Integer(50));
/// assert_eq!(
///     partitions(0, Some(Bounds::Integers(0, 99)), 2),
///     [
///         Partition::Range { column: 0, lower: None, upper: cut },
///         Partition::Range { column: 0, lower: cut, upper: None },
///     ]
/// );
/// ```
pub fn partitions(column: usize, bounds: Option<Bounds>, count: usize) -> Vec<Partition> {
    let cuts = match bounds {
        Some(Bounds::Integers(min, max)) => integer_cuts(min, max, count),
        Some(Bounds::Floats(min, max)) => float_cuts(min, max, count),
        None => Vec::new(),
    };
    if cuts.is_empty() {
        return vec![Partition::All];
    }
    let lower = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let upper = cuts.iter().copied().map(Some).chain([None]);
    lower
        .zip(upper)
        .map(|(lower, upper)| Partition::Range {
            column,
            lower,
            upper,
        })
        .collect()
}

fn integer_cuts(min: i64, max: i64, count: usize) -> Vec<Key> {
    let width = i128::from(max) - i128::from(min) + 1;
    let mut cuts: Vec<i64> = (1..count as i128)
        .map(|i| i128::from(min) + width * i / count as i128)
        .filter(|cut| *cut > i128::from(min)) // at the smallest key it would cut off nothing
        .filter_map(|cut| i64::try_from(cut).ok())
        .collect();
    cuts.dedup();
    cuts.into_iter().map(Key::Integer).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn float_cuts(min: f64, max: f64, count: usize) -> Vec<Key> {
    let mut cuts: Vec<f64> = (1..count)
        .map(|i| i as f64 / count as f64)
        // Weighing both ends, instead of adding to one, cannot overflow to an infinity.
        .map(|share| min * (1.0 - share) + max * share)
        .filter(|cut| *cut > min && *cut <= max)
        .collect();
    cuts.dedup();
    cuts.into_iter().map(Key::Float).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(bounds: Bounds, count: usize) -> Vec<Key> {
        partitions(0, Some(bounds), count)
            .into_iter()
            .filter_map(|partition| match partition {
                Partition::Range { upper, .. } => upper,
                Partition::All => None,
            })
            .collect()
    }

    #[test]
    fn integer_cuts_span_all_of_i64_without_overflow() {
        assert_eq!(
            cuts(Bounds::Integers(i64::MIN, i64::MAX), 4),
            [
                Key::Integer(i64::MIN / 2),
                Key::Integer(0),
                Key::Integer(i64::MAX / 2 + 1)
            ]
        );
    }

    #[test]
    fn fewer_keys_than_partitions_make_fewer_partitions() {
        assert_eq!(
            cuts(Bounds::Integers(7, 8), 32),
            [Key::Integer(8)],
            "one cut between two keys"
        );
        assert_eq!(
            partitions(0, Some(Bounds::Integers(7, 7)), 32),
            [Partition::All]
        );
        assert_eq!(
            partitions(0, Some(Bounds::Floats(0.5, 0.5)), 32),
            [Partition::All]
        );
        assert_eq!(partitions(0, None, 32), [Partition::All]);
    }

    #[test]
    fn float_cuts_stay_finite_and_ascend() {
        let cuts = cuts(Bounds::Floats(f64::MIN, f64::MAX), 8);
        assert_eq!(cuts.len(), 7);
        let values: Vec<f64> = cuts
            .iter()
            .map(|key| match key {
                Key::Float(value) => *value,
                Key::Integer(_) => f64::NAN,
            })
            .collect();
        assert!(values.iter().all(|value| value.is_finite()));
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn neighbouring_partitions_share_their_cut_and_the_ends_are_open() {
        let all = partitions(3, Some(Bounds::Integers(-10, 1000)), 7);
        assert_eq!(all.len(), 7);
        let ends: Vec<_> = all
            .iter()
            .map(|partition| match partition {
                Partition::Range {
                    column,
                    lower,
                    upper,
                } => (*column, *lower, *upper),
                Partition::All => (usize::MAX, None, None),
            })
            .collect();
        assert!(ends.iter().all(|(column, ..)| *column == 3));
        assert_eq!(ends[0].1, None);
        assert_eq!(ends[6].2, None);
        for pair in ends.windows(2) {
            assert!(pair[0].2.is_some());
            assert_eq!(pair[0].2, pair[1].1);
        }
    }
}
