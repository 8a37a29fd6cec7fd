//! Rules for which types can be converted to which others.

use crate::schema::column_type::ColumnType;

/// Returns whether values of one type can be converted to another. [`Null`](ColumnType::Null) as
/// `from` stands for values of any kind.
pub fn is_convertible(from: &ColumnType, to: &ColumnType) -> bool {
    use ColumnType as T;
    match (from, to) {
        (T::List(from), T::List(to)) => is_convertible(from, to),
        (_, T::Null | T::Interval | T::Ticks { .. } | T::List(_) | T::Struct(_)) => false,
        (_, T::String)
        | (T::Binary, T::Binary)
        | (T::Time, T::Time)
        | (T::Date | T::Datetime { .. } | T::Ticks { .. }, T::Date | T::Datetime { .. })
        | (T::Interval | T::Duration { .. }, T::Duration { .. }) => true,
        (T::Null | T::String, to) => !matches!(to, T::Duration { .. }),
        (T::Boolean, to) => *to == T::Boolean || is_integer(to),
        (from, T::Boolean) => is_integer(from),
        (from, to) => is_number(from) && is_number(to),
    }
}

fn is_integer(column_type: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        column_type,
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64
    )
}

fn is_number(column_type: &ColumnType) -> bool {
    use ColumnType as T;
    is_integer(column_type) || matches!(column_type, T::Float32 | T::Float64 | T::Decimal { .. })
}
