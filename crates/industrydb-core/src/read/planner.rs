//! Cuts a query into partitions that hold every row exactly once.
//!
//! Cuts `c1 < c2 < …` make the partitions `key < c1 OR key IS NULL`, `c1 <= key AND key < c2`, …,
//! `cn <= key`. The first and the last partition have no outer bound, so the partitions hold every
//! row wherever the cuts are, and whatever is written meanwhile. The cuts can therefore come from a
//! [`Sample`]: they decide how even the partitions are, never which rows are read.

use std::cmp::Ordering;

use super::partition::{Cut, Partition, Plan, Sample, Split, Target};
use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::base::suggest::did_you_mean;
use crate::read::connector::{Described, Division};
use crate::schema::column_type::ColumnType;
use crate::schema::field::Field;
use crate::schema::value::Value;

/// Cuts a query as the split asks; without a split, makes one partition of each query.
///
/// There are fewer partitions than asked for if there are fewer keys.
///
/// # Errors
///
/// When the split does not fit the query, or the database fails.
pub fn plan(described: &Described, split: Option<&Split>, stop: &Stop) -> Result<Plan> {
    let whole = |note: Option<String>| Plan {
        partitions: (0..)
            .zip(&described.queries)
            .map(|(number, query)| Partition::whole(number, query))
            .collect(),
        note,
    };
    let Some(split) = split else {
        return Ok(whole(None));
    };
    let target = match &split.column {
        Some(name) => Target::Column(key_index(&described.fields, name)?),
        None => Target::Rows,
    };
    if split.partitions == 1 {
        return Ok(whole(None));
    }
    let divisible = match described.reader.divide(target, stop)? {
        Division::Cut(divisible) => divisible,
        Division::Whole(reason) => {
            let note = format!("{reason}, so all rows come from one evaluation, in one partition");
            log::warn!("{note}");
            return Ok(whole(Some(note)));
        }
    };
    let (mut cuts, mut estimates) = if let Some(cuts) = &split.cuts {
        reject_misfits(&described.fields, target, cuts)?;
        (cuts.clone(), vec![None; cuts.len() + 1])
    } else {
        let sample = divisible.sample(split.partitions, stop)?;
        let (cuts, rows) = balanced(&sample, split.partitions);
        (cuts, rows.into_iter().map(Some).collect())
    };
    let compared = divisible.compare_cuts(&cuts, stop)?;
    if !keep_rising(&mut cuts, &mut estimates, compared) {
        let note = "the database sorts the keys in another order than it compares them, so all rows come in one partition";
        log::warn!("{note}");
        return Ok(whole(Some(note.to_owned())));
    }
    if cuts.is_empty() {
        let mut whole = whole(None);
        for (partition, rows) in whole.partitions.iter_mut().zip(estimates) {
            partition.estimated_rows = rows;
        }
        return Ok(whole);
    }
    let lower = std::iter::once(None).chain(cuts.iter().map(Some));
    let upper = cuts.iter().map(Some).chain([None]);
    let partitions = lower.zip(upper).zip(estimates);
    let partition = |((lower, upper), estimated_rows): ((Option<&Value>, Option<&Value>), _)| {
        let cut = Cut {
            target,
            lower: lower.cloned(),
            upper: upper.cloned(),
        };
        Partition {
            number: 0,
            query: divisible.select(lower, upper),
            cut: lower.or(upper).is_some().then_some(cut),
            estimated_rows,
        }
    };
    Ok(Plan {
        partitions: partitions.map(partition).collect(),
        note: None,
    })
}

/// Removes cuts that equal the one before, whose partitions would be empty. Returns `false` if a
/// cut is, or may be, below the one before: rows would then be in several partitions, or in none.
fn keep_rising(
    cuts: &mut Vec<Value>,
    rows: &mut Vec<Option<f64>>,
    compared: Option<Vec<Ordering>>,
) -> bool {
    let Some(compared) = compared.filter(|compared| compared.len() + 1 >= cuts.len()) else {
        return false;
    };
    if compared.contains(&Ordering::Greater) {
        return false;
    }
    for (index, ordering) in compared.into_iter().enumerate().rev() {
        if ordering == Ordering::Equal {
            cuts.remove(index + 1);
            let empty = rows.remove(index + 1);
            rows[index + 1] = rows[index + 1].zip(empty).map(|(rows, empty)| rows + empty);
        }
    }
    true
}

/// Refuses cuts whose type does not fit the column's, since the database could order them
/// differently.
fn reject_misfits(fields: &[Field], target: Target, cuts: &[Value]) -> Result<()> {
    use ColumnType::{
        Date, Datetime, Decimal, Float32, Float64, Int8, Int16, Int32, Int64, Null, Ticks, UInt8,
        UInt16, UInt32, UInt64,
    };
    let Target::Column(index) = target else {
        return Ok(());
    };
    let field = &fields[index];
    let fits = |cut: &Value| match (cut, &field.own_type) {
        // A column without a type is compared by its values, so all cuts fit.
        (_, Null)
        | (
            Value::Integer(_) | Value::Float(_) | Value::Decimal(_),
            Int8
            | Int16
            | Int32
            | Int64
            | UInt8
            | UInt16
            | UInt32
            | UInt64
            | Float32
            | Float64
            | Decimal { .. },
        )
        | (Value::Temporal(_), Date | Datetime { .. } | Ticks { .. }) => true,
        _ => false,
    };
    if cuts.iter().all(fits) {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "partition_range does not fit partition_on={:?}, which has the type {}; without it, a sample of \
         the keys places the cuts",
        field.name, field.own_type
    )))
}

/// Creates the error for a query that is not a plain SELECT from one table, whose rows could be
/// split.
pub fn no_table(why: &str) -> Error {
    Error::configuration(format!(
        "partitions without partition_on splits the one table of a plain SELECT … FROM table WHERE …; \
         {why}: pass partition_on, a column of the query's result"
    ))
}

fn key_index(fields: &[Field], name: &str) -> Result<usize> {
    fields
        .iter()
        .position(|field| field.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            Error::configuration(format!(
                "partition_on={name:?} is not a column of the query's result{}; it has {names:?}",
                did_you_mean(name, &names)
            ))
        })
}

/// Returns the cuts that divide the sample's rows most evenly into at most `count` partitions, and
/// the number of rows of each partition.
///
/// From the first key on, each partition takes keys until it is as close as possible to an equal
/// share of the remaining rows. A key with more rows than this share has its own partition, and the
/// others stay even.
///
/// # Examples
///
/// ```
/// use industrydb_core::{Sample, Value};
/// use industrydb_core::planner::balanced;
///
/// let keys = [(1, 700.0), (2, 100.0), (3, 100.0), (9, 100.0)];
/// let keys = keys.map(|(key, rows)| (Value::Integer(key), rows)).to_vec();
/// let (cuts, rows) = balanced(&Sample { keys }, 3);
/// assert_eq!(cuts, [Value::Integer(2), Value::Integer(9)]);
/// assert_eq!(rows, [700.0, 200.0, 100.0]);
/// ```
pub fn balanced(sample: &Sample, count: usize) -> (Vec<Value>, Vec<f64>) {
    let mut cuts = Vec::new();
    let mut rows = Vec::new();
    let mut left: f64 = sample.keys.iter().map(|(_, rows)| rows).sum();
    let mut taken = 0.0;
    for (key, weight) in &sample.keys {
        #[expect(clippy::cast_precision_loss, reason = "at most MAX_PARTITIONS")]
        let share = left / (count - cuts.len()) as f64;
        if taken > 0.0 && cuts.len() + 1 < count && taken + weight / 2.0 > share {
            cuts.push(key.clone());
            rows.push(taken);
            left -= taken;
            taken = 0.0;
        }
        taken += weight;
    }
    rows.push(taken);
    (cuts, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(weights: &[u32]) -> Sample {
        let key = |(key, weight): (i64, &u32)| (Value::Integer(key), f64::from(*weight));
        Sample {
            keys: (0..).zip(weights).map(key).collect(),
        }
    }

    #[test]
    fn equal_keys_make_equal_partitions() {
        let (cuts, rows) = balanced(&sample(&[1; 1000]), 8);
        assert_eq!(rows, [125.0; 8]);
        assert_eq!(cuts[0], Value::Integer(125));
    }

    #[test]
    fn fewer_keys_than_partitions_make_fewer_partitions() {
        assert_eq!(balanced(&sample(&[5, 5]), 32).0, [Value::Integer(1)]);
        assert_eq!(balanced(&sample(&[5]), 32).0, []);
        assert_eq!(balanced(&sample(&[]), 32), (vec![], vec![0.0]));
    }

    #[test]
    fn nulls_belong_to_the_first_partition_and_are_no_cut() {
        let mut sample = sample(&[10, 10]);
        sample.keys.insert(0, (Value::Null, 1000.0));
        let (cuts, rows) = balanced(&sample, 3);
        assert_eq!(cuts, [Value::Integer(0), Value::Integer(1)]);
        assert_eq!(rows, [1000.0, 10.0, 10.0]);
    }

    #[test]
    fn cuts_that_do_not_rise_make_no_partitions() {
        use Ordering::{Equal, Greater, Less};
        for (compared, expected) in [
            (
                vec![Less, Less],
                Some((vec![0, 1, 2], vec![1.0, 2.0, 3.0, 4.0])),
            ),
            (vec![Equal, Less], Some((vec![0, 2], vec![1.0, 5.0, 4.0]))),
            (vec![Less, Equal], Some((vec![0, 1], vec![1.0, 2.0, 7.0]))),
            (vec![Equal, Equal], Some((vec![0], vec![1.0, 9.0]))),
            (vec![Less, Greater], None),
            (vec![Greater, Equal], None),
            (vec![], None),
        ] {
            let mut cuts: Vec<Value> = (0..3).map(Value::Integer).collect();
            let mut rows = [1.0, 2.0, 3.0, 4.0].map(Some).to_vec();
            let rise = keep_rising(&mut cuts, &mut rows, Some(compared.clone()));
            assert_eq!(rise, expected.is_some(), "{compared:?}");
            if let Some((kept, of_each)) = expected {
                let kept: Vec<Value> = kept.into_iter().map(Value::Integer).collect();
                let of_each: Vec<Option<f64>> = of_each.into_iter().map(Some).collect();
                assert_eq!((cuts, rows), (kept, of_each), "{compared:?}");
            }
        }
        assert!(!keep_rising(
            &mut vec![Value::Null],
            &mut vec![None; 2],
            None
        ));
    }

    proptest::proptest! {
        /// No partition has more rows than the mean and the largest key together.
        #[test]
        fn no_partition_is_much_larger_than_the_mean(
            weights in proptest::collection::vec(1_u32..1000, 0..300),
            count in 1_usize..33,
        ) {
            let (cuts, rows) = balanced(&sample(&weights), count);
            proptest::prop_assert_eq!(cuts.len() + 1, rows.len());
            proptest::prop_assert!(rows.len() <= count);
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            proptest::prop_assert!((rows.iter().sum::<f64>() - total).abs() < 1e-6);
            let hottest = weights.iter().copied().max().map_or(0.0, f64::from);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let mean = total / count as f64;
            for rows in &rows {
                proptest::prop_assert!(*rows <= (mean + hottest).max(hottest));
            }
            let ascending = cuts.windows(2).all(|pair| match pair {
                [Value::Integer(a), Value::Integer(b)] => a < b,
                _ => false,
            });
            proptest::prop_assert!(ascending);
        }
    }
}
