//! The nouns of a result: its columns' types and values.

pub mod calendar;
pub mod column_type;
pub mod field;
pub mod iso;
pub mod value;
