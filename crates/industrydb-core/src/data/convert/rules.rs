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
        (T::Boolean, to) => *to == T::Boolean || to.is_integer(),
        (from, T::Boolean) => from.is_integer(),
        (from, to) => from.is_number() && to.is_number(),
    }
}
