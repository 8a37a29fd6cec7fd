//! Compares both ways on random tables.

use super::*;

/// Pseudorandom numbers from a seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        // Steele, Lea and Flood's SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits") % limit
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    pub(super) fn is(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// Returns a value of any storage class; a long one now and then.
    fn value(&mut self) -> types::Value {
        let length = match self.below(40) {
            0 => self.below(9000),
            1..=4 => self.below(700),
            _ => self.below(20),
        };
        match self.below(8) {
            0 => types::Value::Null,
            1 => types::Value::Integer(self.one(&[
                i64::MIN,
                i64::MAX,
                0,
                1,
                -1,
                1 << 53,
                (1 << 53) + 1,
                -1 << 47,
            ])),
            2 | 3 => {
                types::Value::Integer(i64::try_from(self.below(60_000)).expect("small") - 30_000)
            }
            4 => types::Value::Real(self.one(&[0.0, -0.5, 1e300, 3.0, f64::INFINITY, 1e15, -7.25])),
            5 => types::Value::Blob(
                b"\0\xff\x01x7"
                    .iter()
                    .copied()
                    .cycle()
                    .take(length)
                    .collect(),
            ),
            6 => types::Value::Text(format!("2024-0{}-1{}", 1 + self.below(9), self.below(10))),
            _ => types::Value::Text("aäx9 ".chars().cycle().take(length).collect()),
        }
    }

    /// Returns a bound that the planner might choose for a partition.
    fn bound(&mut self) -> Value {
        match self.value() {
            types::Value::Null => Value::Integer(0),
            types::Value::Integer(value) => Value::Integer(value),
            types::Value::Real(value) => Value::Float(value),
            types::Value::Text(text) => Value::Text(text),
            types::Value::Blob(bytes) => Value::Bytes(bytes),
        }
    }
}

const TYPES: [&str; 9] = [
    "",
    "INTEGER",
    "REAL",
    "TEXT",
    "BLOB",
    "NUMERIC",
    "DATE",
    "BOOLEAN",
    "TEXT COLLATE NOCASE",
];
const DEFAULTS: [&str; 8] = ["NULL", "7", "-1.5", "'NULL'", "''", "'12'", "x'00'", "TRUE"];

/// Makes a table `t` with a random history, and returns the names of its columns.
fn random_table(random: &mut Random, connection: &Connection) -> Vec<String> {
    let run = |sql: &str| {
        connection
            .execute_batch(sql)
            .unwrap_or_else(|e| unreachable!("{sql}: {e}"));
    };
    run(&format!(
        "PRAGMA page_size = {}",
        random.one(&[512, 1024, 4096, 8192, 65_536])
    ));
    run(&format!("PRAGMA auto_vacuum = {}", random.below(3)));
    let mut columns: Vec<String> = (0..=random.below(6))
        .map(|number| format!("c{number}"))
        .collect();
    let mut defined: Vec<String> = Vec::new();
    for name in &columns {
        let default = if random.is(4) {
            format!(" DEFAULT {}", random.one(&DEFAULTS))
        } else {
            String::new()
        };
        defined.push(format!("{name} {}{default}", random.one(&TYPES)));
    }
    let has_no_rowid = random.is(2);
    if has_no_rowid {
        let order = random.one(&["", " DESC"]);
        let second = if columns.len() > 2 && random.is(2) {
            ", c1"
        } else {
            ""
        };
        defined.push(format!(
            "PRIMARY KEY (c{}{order}{second})",
            if second.is_empty() {
                columns.len() - 1
            } else {
                0
            }
        ));
    } else if random.is(2) {
        let name = random.below(columns.len());
        defined[name] = format!("c{name} INTEGER PRIMARY KEY");
    } else if random.is(4) {
        defined.push("v AS (c0) VIRTUAL, s AS (c0) STORED".to_owned());
    }
    let made = if has_no_rowid { " WITHOUT ROWID" } else { "" };
    run(&format!("CREATE TABLE t ({}){made}", defined.join(", ")));
    let inserted = columns.clone();
    let insert = |random: &mut Random, columns: &[String]| {
        let places = vec!["?"; columns.len()].join(", ");
        let sql = format!(
            "INSERT OR IGNORE INTO t ({}) VALUES ({places})",
            columns.join(", ")
        );
        let mut insert = connection.prepare(&sql).expect("valid");
        run("BEGIN");
        for _ in 0..random.one(&[0, 1, 20, 200]) {
            let values: Vec<types::Value> = columns.iter().map(|_| random.value()).collect();
            // An INTEGER PRIMARY KEY rejects other values.
            let _ = insert.execute(rusqlite::params_from_iter(values));
        }
        run("COMMIT");
    };
    insert(random, &inserted);
    for step in 0..random.below(4) {
        match random.below(5) {
            0 => run(&format!(
                "DELETE FROM t WHERE length({}) % 3 = {}",
                random.one(&columns),
                random.below(3)
            )),
            1 => run("VACUUM"),
            2 => {
                let (name, affinity) = (format!("a{step}"), random.one(&TYPES));
                run(&format!(
                    "ALTER TABLE t ADD COLUMN {name} {affinity} DEFAULT {}",
                    random.one(&DEFAULTS)
                ));
                columns.push(name);
            }
            3 => {
                let name = columns[columns.len() - 1].clone();
                let dropped =
                    connection.execute_batch(&format!("ALTER TABLE t DROP COLUMN {name}"));
                if dropped.is_ok() {
                    columns.pop();
                }
            }
            _ => {
                let columns = columns.clone();
                insert(random, &columns);
            }
        }
    }
    columns
}

/// Compares some queries of a random table, and returns how many were decoded, whole and as
/// partitions.
fn compare_randomly(seed: u64) -> (usize, usize) {
    let (mut wholes, mut parts) = (0, 0);
    let mut random = Random(seed);
    let connection = Connection::open_in_memory().expect("memory");
    let columns = random_table(&mut random, &connection);
    connection.execute_batch("BEGIN").expect("begun");
    let wanted = if random.is(3) {
        "*".to_owned()
    } else {
        let some: Vec<String> = (0..=random.below(4))
            .map(|_| random.one(&columns))
            .collect();
        some.join(", ")
    };
    let sql = format!("SELECT {wanted} FROM t");
    let outcome = |columns: Result<Columns>| columns.map_err(|error| error.to_string());
    let pages = decoded(&connection, &sql, None);
    match pages {
        Ok(Ok(pages)) => {
            wholes += 1;
            assert!(
                Ok(pages) == outcome(stepped(&connection, &sql)),
                "{seed}: {sql}"
            );
        }
        Ok(Err(refusal)) => {
            // A virtual column is computed, and the columns of an index can be read without the
            // table.
            let is_known = matches!(refusal, Refusal::Unproven(_) | Refusal::NoTable);
            assert!(is_known, "{seed}: {sql}: {refusal}");
        }
        Err(error) => {
            assert_eq!(
                Err(error.to_string()),
                outcome(stepped(&connection, &sql)).map(drop),
                "{seed}: {sql}"
            );
        }
    }
    let index = random.below(columns.len());
    let whole = format!("SELECT {} FROM t", columns.join(", "));
    let spans = shared();
    for _ in 0..3 {
        let (lower, upper) = match random.below(3) {
            0 => (None, Some(random.bound())),
            1 => (Some(random.bound()), None),
            _ => (Some(random.bound()), Some(random.bound())),
        };
        let part = crate::sql::derived::range(
            &whole,
            &columns[index],
            false,
            lower.as_ref(),
            upper.as_ref(),
        );
        let range = Range {
            key: Key::Column(index),
            lower,
            upper,
        };
        if let Ok(Ok(pages)) = decoded(&connection, &whole, Some((&range, &spans))) {
            parts += 1;
            assert!(
                Ok(pages) == outcome(stepped(&connection, &part)),
                "{seed}: {part}"
            );
        }
    }
    (wholes, parts)
}

#[test]
fn random_tables_come_alike() {
    let (mut wholes, mut parts) = (0, 0);
    for seed in 0..1500 {
        let (whole, part) = compare_randomly(seed);
        wholes += whole;
        parts += part;
    }
    // Partitions whose bound is of another kind than the key are refused, since SQLite compares
    // them by special rules.
    assert!(
        wholes > 1300 && parts > 1500,
        "{wholes} whole, {parts} in parts"
    );
}
