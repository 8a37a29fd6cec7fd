//! Reads a stored table below SQLite's step loop: its pages are decoded.
//!
//! [`program`] proves from a query's bytecode that it is a plain projection of one tree; [`table`]
//! finds the table that the tree is of, or [`refusal`] says why not, and [`cut`] tells which rows a partition has. [`pager`] has
//! SQLite hand out pages, so that locks, log and snapshot stay SQLite's own; [`page`] and
//! [`record`] take their bytes apart; [`tree`] goes through the rows in their order, and [`read`]
//! hands the values to the columns, as the step loop does, which remains the way for everything
//! else. [`sample`] looks for keys that part a tree.

pub(crate) mod cut;
pub(crate) mod page;
pub(crate) mod pager;
pub(crate) mod program;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod sample;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod tree;
