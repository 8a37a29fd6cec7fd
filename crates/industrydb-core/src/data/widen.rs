//! Converts a column that has different types in different partitions to one type, without loss.
//!
//! In a PostgreSQL `numeric` without a declared scale, each value has its own scale, so partitions
//! may end with different scales; a partition with only NULLs may have no type at all. A chunk that
//! cannot be converted without the values as the database sent them is read again instead: see
//! [`Reader::is_stale`](crate::Reader::is_stale).

use polars_arrow::array::{Array, ListArray, PrimitiveArray, StructArray, new_null_array};
use polars_arrow::datatypes::ArrowDataType;
use polars_core::prelude::TimeUnit;

use crate::base::error::{CellError, CellResult};
use crate::data::builders::{Interval, PrimitiveBuilder, TextBuilder, rescale};
use crate::data::chunk::ChunkColumn;
use crate::schema::column_type::ColumnType;
use crate::schema::column_type::MAX_PRECISION;

/// Returns the narrowest type that holds the values of both types, if there is one.
pub fn common_type(a: &ColumnType, b: &ColumnType) -> Option<ColumnType> {
    use ColumnType::{Decimal, List, Null, Struct};
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (List(a), List(b)) => Some(List(Box::new(common_type(a, b)?))),
        (Struct(a), Struct(b)) if a.len() == b.len() => {
            let field =
                |((name, a), (other, b)): (&(String, ColumnType), &(String, ColumnType))| {
                    let common = common_type(a, b).filter(|_| name == other)?;
                    Some((name.clone(), common))
                };
            Some(Struct(a.iter().zip(b).map(field).collect::<Option<_>>()?))
        }
        (
            Decimal {
                precision: precision_a,
                scale: scale_a,
            },
            Decimal {
                precision: precision_b,
                scale: scale_b,
            },
        ) => {
            let scale = *scale_a.max(scale_b);
            let whole = (precision_a - scale_a).max(precision_b - scale_b);
            Some(Decimal {
                precision: (whole + scale).min(MAX_PRECISION),
                scale,
            })
        }
        _ => None,
    }
}

/// Converts the arrays of one column to their common type. If the arrays do not tell it, as with
/// only NULLs, the declared type is used.
///
/// # Errors
///
/// If a number does not fit the common scale, times do not fit one unit, or the arrays have no
/// common type.
pub(crate) fn unify(
    declared: &ColumnType,
    parts: Vec<ChunkColumn>,
) -> CellResult<(ColumnType, Vec<Box<dyn Array>>)> {
    let common = parts.iter().try_fold(ColumnType::Null, |common, part| {
        common_type(&common, &part.column_type).ok_or_else(|| {
            CellError::new(
                None,
                format!(
                    "is {common} in some partitions, and {} in another",
                    part.column_type
                ),
                "cast it to text in the query",
            )
        })
    })?;
    let common = completed(common, declared);
    let arrays = parts
        .into_iter()
        .map(|part| widen(part.array, &part.column_type, &common))
        .collect::<CellResult<Vec<_>>>()?;
    settle(common, arrays)
}

/// Converts an array of a column to the type that was announced for the column.
///
/// # Errors
///
/// If the values need another type, or if they still decide what the announced type becomes: the
/// array does not have its final memory layout then.
pub(crate) fn announced(declared: &ColumnType, part: ChunkColumn) -> CellResult<Box<dyn Array>> {
    match common_type(declared, &part.column_type) {
        Some(common)
            if common == *declared && (*declared == ColumnType::Null || !declared.is_open()) =>
        {
            widen(part.array, &part.column_type, declared)
        }
        _ => Err(CellError::new(
            None,
            format!(
                "is {} in some rows, and {declared} in all others",
                part.column_type
            ),
            "say by schema_overrides which type it is to have",
        )),
    }
}

/// Returns the type that a column needs if it has the type `before` in some rows and `now` in the
/// rows after them.
pub(crate) fn needed(before: ColumnType, now: ColumnType) -> ColumnType {
    use ColumnType as T;
    match (before, now) {
        (T::List(before), T::List(now)) => T::List(Box::new(needed(*before, *now))),
        (T::Struct(before), T::Struct(now)) if before.len() == now.len() => {
            let fields = before.into_iter().zip(now);
            T::Struct(
                fields
                    .map(|((name, before), (_, now))| (name, needed(before, now)))
                    .collect(),
            )
        }
        (before @ T::Decimal { .. }, now @ T::Decimal { .. }) => {
            common_type(&before, &now).unwrap_or(now)
        }
        // The rows before may have intervals with months, or times beyond the range of nanoseconds.
        (before, T::Null)
        | (before @ T::String, T::Duration { .. })
        | (
            before @ T::Datetime {
                unit: TimeUnit::Microseconds,
                ..
            },
            T::Datetime { .. },
        ) => before,
        // The connector's later type already takes the rows before into account.
        (_, now) => now,
    }
}

/// Replaces the unknown parts of a type by the declared ones: lists without any element do not tell
/// the type of their elements.
fn completed(found: ColumnType, declared: &ColumnType) -> ColumnType {
    use ColumnType::{List, Null, Struct};
    match (found, declared) {
        (Null, declared) => declared.clone(),
        (List(found), List(declared)) => List(Box::new(completed(*found, declared))),
        // An array may have more dimensions than were declared.
        (List(found), declared) => List(Box::new(completed(*found, declared))),
        (Struct(found), Struct(declared)) => {
            let fields = found.into_iter().zip(declared);
            let field = |((name, found), (_, declared)): ((String, ColumnType), &(String, _))| {
                (name, completed(found, declared))
            };
            Struct(fields.map(field).collect())
        }
        (found, _) => found,
    }
}

/// Converts an array from its type to a wider one that [`common_type`] has returned.
fn widen(array: Box<dyn Array>, from: &ColumnType, to: &ColumnType) -> CellResult<Box<dyn Array>> {
    use ColumnType::{Decimal, List, Null, Struct};
    match (from, to) {
        (from, to) if from == to => Ok(array),
        (Null, to) => Ok(new_null_array(to.arrow(), array.len())),
        (
            Decimal { scale: small, .. },
            Decimal {
                precision,
                scale: large,
            },
        ) => {
            let array = primitive::<i128>(array.as_ref());
            let mut values = array.values().as_slice().to_vec();
            rescale(&mut values, *small, *large, *precision)?;
            let validity = array.validity().cloned();
            Ok(PrimitiveArray::new(ArrowDataType::Int128, values.into(), validity).boxed())
        }
        (List(from), List(to)) => {
            let list = downcast::<ListArray<i64>>(array.as_ref());
            let elements = widen(list.values().clone(), from, to)?;
            Ok(with_elements(list, elements))
        }
        (Struct(from), Struct(to)) => {
            let rows = downcast::<StructArray>(array.as_ref());
            let fields = rows.values().iter().zip(from.iter().zip(to));
            let fields = fields
                .map(|(field, ((_, from), (_, to)))| widen(field.clone(), from, to))
                .collect::<CellResult<_>>()?;
            Ok(with_fields(rows, to, fields))
        }
        (from, to) => Err(CellError::malformed(format!(
            "cannot be widened from {from} to {to}"
        ))),
    }
}

/// Converts types that depend on the values of all partitions to their final type and memory
/// layout, also within lists and structs: see [`ColumnType::Interval`] and [`ColumnType::Ticks`].
fn settle(
    column_type: ColumnType,
    arrays: Vec<Box<dyn Array>>,
) -> CellResult<(ColumnType, Vec<Box<dyn Array>>)> {
    match column_type {
        ColumnType::List(inner) => {
            let lists = || {
                arrays
                    .iter()
                    .map(|array| downcast::<ListArray<i64>>(array.as_ref()))
            };
            let elements = lists().map(|list| list.values().clone()).collect();
            let (settled, elements) = settle(*inner, elements)?;
            let lists = lists()
                .zip(elements)
                .map(|(list, part)| with_elements(list, part));
            Ok((ColumnType::List(Box::new(settled)), lists.collect()))
        }
        ColumnType::Struct(fields) => {
            let rows = || {
                arrays
                    .iter()
                    .map(|array| downcast::<StructArray>(array.as_ref()))
            };
            let (mut types, mut columns) = (Vec::new(), Vec::new());
            for (index, (name, column_type)) in fields.into_iter().enumerate() {
                let parts = rows().map(|rows| rows.values()[index].clone()).collect();
                let (settled, parts) = settle(column_type, parts)?;
                types.push((name, settled));
                columns.push(parts);
            }
            let fields = |part: usize| columns.iter().map(|parts| parts[part].clone()).collect();
            let rows = rows()
                .enumerate()
                .map(|(part, rows)| with_fields(rows, &types, fields(part)))
                .collect();
            Ok((ColumnType::Struct(types), rows))
        }
        ColumnType::Interval => Ok(settled_intervals(&arrays)),
        ColumnType::Ticks { utc } => settled_ticks(utc, &arrays),
        other => Ok((other, arrays)),
    }
}

fn settled_ticks(
    utc: bool,
    arrays: &[Box<dyn Array>],
) -> CellResult<(ColumnType, Vec<Box<dyn Array>>)> {
    let counted = |convert: fn(i64) -> Option<i64>| -> Option<Vec<Box<dyn Array>>> {
        arrays
            .iter()
            .map(|array| {
                let array = primitive::<i64>(array.as_ref());
                let values = array.values().iter().map(|ticks| convert(*ticks));
                let values = values.collect::<Option<Vec<i64>>>()?;
                let validity = array.validity().cloned();
                Some(PrimitiveArray::new(ArrowDataType::Int64, values.into(), validity).boxed())
            })
            .collect()
    };
    let microseconds = |ticks: i64| (ticks % 10 == 0).then_some(ticks / 10);
    let datetime = |unit| ColumnType::Datetime { unit, utc };
    if let Some(arrays) = counted(|ticks| ticks.checked_mul(100)) {
        return Ok((datetime(TimeUnit::Nanoseconds), arrays));
    }
    match counted(microseconds) {
        Some(arrays) => Ok((datetime(TimeUnit::Microseconds), arrays)),
        None => Err(CellError::new(
            None,
            "has times beyond the years 1677 to 2262, which nanoseconds reach, and others that are finer than \
             microseconds",
            "cast it to datetime2(6) in the query, or to text",
        )),
    }
}

fn settled_intervals(arrays: &[Box<dyn Array>]) -> (ColumnType, Vec<Box<dyn Array>>) {
    let intervals = |array: &dyn Array| -> Vec<Option<Interval>> {
        primitive::<i128>(array)
            .iter()
            .map(|bits| bits.copied().map(Interval::from_bits))
            .collect()
    };
    let all_durations = arrays.iter().all(|array| {
        primitive::<i128>(array.as_ref())
            .non_null_values_iter()
            .all(|bits| Interval::from_bits(bits).to_microseconds().is_some())
    });
    if all_durations {
        let durations = arrays.iter().map(|array| {
            map(intervals(array.as_ref()).into_iter(), |interval| {
                interval.to_microseconds().unwrap_or_default()
            })
        });
        (ColumnType::DURATION, durations.collect())
    } else {
        let texts = arrays
            .iter()
            .map(|array| text(intervals(array.as_ref()).into_iter()));
        (ColumnType::String, texts.collect())
    }
}

fn with_elements(list: &ListArray<i64>, elements: Box<dyn Array>) -> Box<dyn Array> {
    ListArray::<i64>::new(
        ListArray::<i64>::default_datatype(elements.dtype().clone()),
        list.offsets().clone(),
        elements,
        list.validity().cloned(),
    )
    .boxed()
}

fn with_fields(
    rows: &StructArray,
    types: &[(String, ColumnType)],
    fields: Vec<Box<dyn Array>>,
) -> Box<dyn Array> {
    let column_type = ColumnType::Struct(types.to_vec());
    let validity = rows.validity().cloned();
    StructArray::new(column_type.arrow(), rows.len(), fields, validity).boxed()
}

fn map<T, U: polars_arrow::types::NativeType>(
    values: impl Iterator<Item = Option<T>>,
    convert: impl Fn(T) -> U,
) -> Box<dyn Array> {
    let mut builder = PrimitiveBuilder::default();
    for value in values {
        match value {
            Some(value) => builder.push(convert(value)),
            None => builder.push_null(),
        }
    }
    builder.finish()
}

fn text<T: ToString>(values: impl Iterator<Item = Option<T>>) -> Box<dyn Array> {
    let mut builder = TextBuilder::default();
    for value in values {
        match value {
            Some(value) => builder.push_str(&value.to_string()),
            None => builder.push_null(),
        }
    }
    builder.finish()
}

fn primitive<T: polars_arrow::types::NativeType>(array: &dyn Array) -> &PrimitiveArray<T> {
    downcast(array)
}

fn downcast<A: 'static>(array: &dyn Array) -> &A {
    array
        .as_any()
        .downcast_ref()
        .expect("a chunk's array has the memory of its column type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::builders::StructBuilder;
    use polars_arrow::array::Utf8ViewArray;

    fn texts(array: &dyn Array) -> Vec<Option<&str>> {
        downcast::<Utf8ViewArray>(array).iter().collect()
    }

    #[test]
    fn a_part_of_nulls_alone_takes_the_type_of_the_others() {
        let nulls = ChunkColumn {
            column_type: ColumnType::Null,
            array: new_null_array(ArrowDataType::Null, 3),
        };
        let numbers = ChunkColumn {
            column_type: ColumnType::Int64,
            array: map([Some(7_i64)].into_iter(), |value| value),
        };
        let (column_type, arrays) =
            unify(&ColumnType::Null, vec![nulls, numbers]).expect("they mix");
        assert_eq!(column_type, ColumnType::Int64);
        assert_eq!(primitive::<i64>(arrays[0].as_ref()).null_count(), 3);
    }

    #[test]
    fn decimals_take_the_largest_scale() {
        let decimal = |value: i128, scale| ChunkColumn {
            column_type: ColumnType::Decimal {
                precision: 38,
                scale,
            },
            array: map([Some(value)].into_iter(), |value| value),
        };
        let (column_type, arrays) =
            unify(&ColumnType::Null, vec![decimal(15, 1), decimal(12_345, 4)]).expect("they mix");
        assert_eq!(
            column_type,
            ColumnType::Decimal {
                precision: 38,
                scale: 4
            }
        );
        assert_eq!(primitive::<i128>(arrays[0].as_ref()).value(0), 15_000);
        let huge = 10_i128.pow(37);
        assert!(unify(&ColumnType::Null, vec![decimal(huge, 0), decimal(1, 4)]).is_err());
    }

    #[test]
    fn one_interval_with_months_makes_text_of_all() {
        let intervals = |months: &[i32]| ChunkColumn {
            column_type: ColumnType::Interval,
            array: map(months.iter().map(|months| Some(*months)), |months| {
                Interval {
                    months,
                    days: 1,
                    microseconds: 0,
                }
                .to_bits()
            }),
        };
        let (column_type, arrays) =
            unify(&ColumnType::Null, vec![intervals(&[0])]).expect("they mix");
        assert_eq!(column_type, ColumnType::DURATION);
        assert_eq!(
            primitive::<i64>(arrays[0].as_ref()).value(0),
            86_400_000_000
        );
        let (column_type, arrays) =
            unify(&ColumnType::Null, vec![intervals(&[0]), intervals(&[2])]).expect("they mix");
        assert_eq!(column_type, ColumnType::String);
        assert_eq!(texts(arrays[0].as_ref()), [Some("1 day")]);
        assert_eq!(texts(arrays[1].as_ref()), [Some("2 mons 1 day")]);
    }

    #[test]
    fn empty_lists_take_the_type_of_the_others() {
        let list = |elements: Box<dyn Array>, offsets: Vec<i64>| -> Box<dyn Array> {
            let data_type = ListArray::<i64>::default_datatype(elements.dtype().clone());
            let offsets = offsets.try_into().expect("they rise");
            ListArray::<i64>::new(data_type, offsets, elements, None).boxed()
        };
        let of = |inner: ColumnType| ColumnType::List(Box::new(inner));
        let empty = || ChunkColumn {
            column_type: of(ColumnType::Null),
            array: list(new_null_array(ArrowDataType::Null, 0), vec![0, 0]),
        };
        let day = Interval {
            months: 0,
            days: 1,
            microseconds: 0,
        };
        let days = map([Some(day.to_bits())].into_iter(), |bits| bits);
        let nested = ChunkColumn {
            column_type: of(of(ColumnType::Interval)),
            array: list(list(days, vec![0, 1]), vec![0, 1]),
        };
        let (column_type, arrays) =
            unify(&of(ColumnType::Interval), vec![empty(), nested]).expect("they mix");
        assert_eq!(column_type, of(of(ColumnType::DURATION)));
        assert_eq!(arrays[0].dtype(), arrays[1].dtype());
        let (column_type, _) = unify(&of(ColumnType::Interval), vec![empty()]).expect("declared");
        assert_eq!(column_type, of(ColumnType::DURATION));
    }

    #[test]
    fn the_fields_of_structs_are_brought_together() {
        let row = |decimal: ColumnType, months: i32| {
            let amount = map([Some(7_i128)].into_iter(), |value| value);
            let interval = Interval {
                months,
                days: 1,
                microseconds: 0,
            };
            let interval = map([Some(interval.to_bits())].into_iter(), |bits| bits);
            let mut builder = StructBuilder::default();
            builder.push();
            let (column_type, array) = builder.finish(vec![
                ("amount".to_owned(), decimal, amount),
                ("took".to_owned(), ColumnType::Interval, interval),
            ]);
            ChunkColumn { column_type, array }
        };
        let decimal = |scale| ColumnType::Decimal {
            precision: 38,
            scale,
        };
        let fields = |took: ColumnType| {
            ColumnType::Struct(vec![
                ("amount".to_owned(), decimal(2)),
                ("took".to_owned(), took),
            ])
        };
        for (months, took) in [(0, ColumnType::DURATION), (1, ColumnType::String)] {
            let parts = vec![row(decimal(0), 0), row(decimal(2), months)];
            let (column_type, arrays) = unify(&fields(ColumnType::Interval), parts).expect("mix");
            assert_eq!(column_type, fields(took));
            let first = downcast::<StructArray>(arrays[0].as_ref());
            assert_eq!(*first.dtype(), column_type.arrow());
            assert_eq!(primitive::<i128>(first.values()[0].as_ref()).value(0), 700);
        }
    }

    #[test]
    fn ticks_are_as_fine_as_all_of_them_allow() {
        let ticks = |values: &[i64]| ChunkColumn {
            column_type: ColumnType::Ticks { utc: true },
            array: map(values.iter().map(|value| Some(*value)), |value| value),
        };
        let declared = ColumnType::Ticks { utc: true };
        let unit = |parts: Vec<ChunkColumn>| unify(&declared, parts).map(|(unit, _)| unit.polars());
        let datetime = |unit| ColumnType::Datetime { unit, utc: true }.polars();
        let year_9999 = 2_534_023_007_999_999_990;
        let nanoseconds = unit(vec![ticks(&[1]), ticks(&[-7])]).expect("fit");
        assert_eq!(nanoseconds, datetime(TimeUnit::Nanoseconds));
        let microseconds = unit(vec![ticks(&[10]), ticks(&[year_9999])]).expect("fit");
        assert_eq!(microseconds, datetime(TimeUnit::Microseconds));
        unit(vec![ticks(&[1]), ticks(&[year_9999])]).expect_err("no unit has both");
    }

    #[test]
    fn dates_and_texts_have_nothing_in_common() {
        assert_eq!(common_type(&ColumnType::Date, &ColumnType::String), None);
        assert_eq!(
            common_type(&ColumnType::Date, &ColumnType::Null),
            Some(ColumnType::Date)
        );
    }
}
