//! Decodes the pages of a stored table, without SQLite's step loop.
//!
//! [`program`] proves from a query's bytecode that the query is a plain projection of one b-tree.
//! [`table`] finds the table of that b-tree, or [`refusal`] gives the reason why its pages cannot
//! be decoded. [`cut`] decides which rows a partition has; [`split`] guesses where in the b-tree
//! they are, and [`spans`] notes where they are not. [`pager`] gets the pages from SQLite, so that
//! locks, log and snapshot stay SQLite's own. [`tree`] walks through the pages in order, [`cells`]
//! takes their rows, and [`page`] and [`record`] parse the bytes. [`read`] appends the values to the
//! columns, as the step loop does. [`damage`] has the errors of damaged files, and [`sample`] finds
//! keys that split a b-tree. The step loop reads everything else.

mod cells;
pub(crate) mod cut;
mod damage;
pub(crate) mod page;
pub(crate) mod pager;
pub(crate) mod program;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod sample;
pub(crate) mod spans;
mod split;
pub(crate) mod table;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
