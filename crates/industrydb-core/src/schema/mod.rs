//! Columns of a result: their fields, types and values.

pub mod calendar;
pub mod column_type;
pub mod field;
pub mod iso;
pub mod value;
