//! Reads a stored table below SQLite's step loop: its pages are decoded.
//!
//! [`program`] proves from a query's bytecode that it is a plain projection of one tree; [`table`] finds the table that the
//! tree is of; [`part`] finds a partition's range of keys in its text, and [`cut`] tells which rows are in it; [`pager`] has SQLite hand out pages, so that locks, log and snapshot
//! stay SQLite's own; [`page`] and [`record`] take their bytes apart; [`tree`] goes through the rows in their order;
//! [`sample`] looks for keys that part a tree; [`read`] hands the values to the columns, as the step loop does, which remains the way for everything else.

pub(crate) mod cut;
pub(crate) mod page;
pub(crate) mod pager;
pub(crate) mod part;
pub(crate) mod program;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod sample;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod tree;
