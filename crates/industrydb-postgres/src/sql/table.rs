//! The table by whose columns or blocks a query is divided.

use industrydb_core::shape::without_schema;
use industrydb_core::{Sample, Value};

use super::dialect::LEXICON;

/// Largest number of a table's blocks that a sample reads, at equal distances.
const MAX_BLOCKS: u64 = 3000;

/// Largest number of pieces into which a table's blocks are divided.
const PIECES: u64 = 8192;

/// A table by whose columns or blocks a query is divided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// Kind of the relation, `r`, `p`, `m`, `v` …:
    /// <https://www.postgresql.org/docs/current/catalog-pg-class.html>
    kind: String,
    /// Whether the table is temporary: each session may have a table of this name to itself.
    is_temporary: bool,
    /// Number of blocks of the table, and of each of its partitions and children.
    blocks: Vec<u64>,
}

impl Table {
    /// Reads the answer to [`statements::table`](crate::sql::statements::table).
    pub(crate) fn new(rows: Vec<Vec<Option<String>>>) -> Option<Self> {
        let mut table: Option<Self> = None;
        for row in rows {
            let [
                Some(schema),
                Some(name),
                Some(kind),
                Some(persistence),
                Some(blocks),
            ] = <[_; 5]>::try_from(row).ok()?
            else {
                return None;
            };
            let blocks = blocks.parse().ok()?;
            match &mut table {
                Some(table) => table.blocks.push(blocks),
                None => {
                    table = Some(Self {
                        schema,
                        name,
                        kind,
                        is_temporary: persistence == "t",
                        blocks: vec![blocks],
                    });
                }
            }
        }
        table
    }

    /// Returns whether this is a view, whose columns may be expressions.
    pub(crate) fn is_view(&self) -> bool {
        self.kind == "v"
    }

    /// Returns whether the rows are stored in blocks, which every session can read one by one.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p" | "m") && !self.is_temporary
    }

    /// Picks the positions of about `wanted` of the table's `rows`, evenly spread over all blocks.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rough numbers are all it takes"
    )]
    pub(crate) fn spread(&self, rows: f64, wanted: f64) -> Spread {
        let all: u64 = self.blocks.iter().sum();
        let step = all.div_ceil(MAX_BLOCKS).max(1);
        let blocks = (all as f64 / step as f64).max(1.0);
        let per_block = (rows / all.max(1) as f64).max(1.0);
        let taken = (wanted / blocks).ceil().clamp(1.0, per_block.floor());
        let place = |number: u64| 1 + (number as f64 * per_block / taken) as u64;
        Spread {
            first: step / 2,
            last: self.blocks.iter().copied().max().unwrap_or_default(),
            step,
            places: (0..taken as u64).map(place).collect(),
            rows: blocks * taken,
        }
    }

    /// Returns the query with this table's schema left out, so that a common table expression can
    /// take the table's name.
    pub(crate) fn freed(&self, query: &str) -> String {
        without_schema(query, LEXICON, &self.schema, &self.name)
    }

    /// Returns block numbers at equal distances, each with the estimated number of rows from there
    /// to the next one. All partitions and children of a table are cut at the same block numbers.
    #[expect(clippy::cast_precision_loss, reason = "a rough number is all it takes")]
    pub(crate) fn block_sample(&self, rows: f64) -> Sample {
        let all: u64 = self.blocks.iter().sum();
        let most = self.blocks.iter().copied().max().unwrap_or_default();
        let step = most.div_ceil(PIECES).max(1);
        let within = |start: u64| -> u64 {
            let piece = |blocks: &u64| blocks.saturating_sub(start).min(step);
            self.blocks.iter().map(piece).sum()
        };
        let key = |number: u64| {
            let start = number * step;
            let share = within(start) as f64 / all as f64;
            let block = i64::try_from(start).unwrap_or(i64::MAX);
            (Value::Integer(block), share * rows)
        };
        Sample {
            keys: (0..most.div_ceil(step)).map(key).collect(),
        }
    }
}

/// Positions of rows in a table, at equal distances. Some positions may be empty.
#[derive(Debug, PartialEq)]
pub(crate) struct Spread {
    /// Number of the first block; `last` is the largest number of blocks of the table or a child.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) step: u64,
    /// Positions of the rows in each of these blocks.
    pub(crate) places: Vec<u64>,
    /// Number of positions in all blocks.
    pub(crate) rows: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(blocks: &[u64]) -> Table {
        Table {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            kind: "r".to_owned(),
            is_temporary: false,
            blocks: blocks.to_vec(),
        }
    }

    #[test]
    fn blocks_of_all_sizes_are_shared_out() {
        let sample = table(&[0, 4, 2]).block_sample(60.0);
        let expected = [(0, 20.0), (1, 20.0), (2, 10.0), (3, 10.0)];
        let expected = expected.map(|(block, rows)| (Value::Integer(block), rows));
        assert_eq!(sample.keys, expected);
        let large = table(&[1 << 31]).block_sample(1.0);
        assert_eq!(large.keys.len() as u64, PIECES);
        assert_eq!(table(&[0]).block_sample(1.0).keys, []);
    }

    #[test]
    fn rows_are_spread_over_all_blocks() {
        for (blocks, rows, expected) in [
            (&[100_000][..], 6_000_000.0, (17, 34, vec![1, 16, 31, 46])),
            (&[50], 100.0, (0, 1, vec![1, 2])),
            (
                &[10, 0],
                1_000_000.0,
                (0, 1, (0..1000).map(|n| 1 + 100 * n).collect()),
            ),
            (&[0], 1.0, (0, 1, vec![1])),
        ] {
            let spread = table(blocks).spread(rows, 10_000.0);
            assert_eq!((spread.first, spread.step, spread.places), expected);
        }
    }
}
