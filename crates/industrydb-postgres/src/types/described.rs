//! A column as the server describes it.

use super::entry::built_in;

/// A column as the server describes it.
#[derive(Clone)]
pub(crate) struct DescribedColumn {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// Type modifier, such as the precision and scale of a `numeric`; -1 if none was declared.
    pub(crate) modifier: i32,
    /// OID of the table that the column comes from; 0 if it comes from none.
    pub(crate) table: u32,
}

impl DescribedColumn {
    /// Returns the same column without its table.
    pub(crate) fn of_any_table(&self) -> Self {
        Self {
            table: 0,
            ..self.clone()
        }
    }

    /// Returns the name of a built-in type; for another type, its OID.
    pub(crate) fn type_name(&self) -> String {
        built_in(self.oid, self.modifier)
            .map_or_else(|| format!("type {}", self.oid), |entry| entry.name)
    }
}
