//! A column as the server describes it.

use super::entry::built_in;

/// A column as the server describes it.
#[derive(Clone)]
pub(crate) struct DescribedColumn {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// Precision and scale of a `numeric`, for example; -1 where nothing was declared.
    pub(crate) modifier: i32,
    /// The table whose column it is, or 0.
    pub(crate) table: u32,
}

impl DescribedColumn {
    /// The same column, of whatever table.
    pub(crate) fn of_any_table(&self) -> Self {
        Self {
            table: 0,
            ..self.clone()
        }
    }

    /// The type's name, where it is built in.
    pub(crate) fn type_name(&self) -> String {
        built_in(self.oid, self.modifier)
            .map_or_else(|| format!("type {}", self.oid), |entry| entry.name)
    }
}
