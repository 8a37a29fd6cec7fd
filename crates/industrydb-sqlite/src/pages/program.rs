//! Proves from a statement's own bytecode that the statement scans one stored b-tree and returns
//! fields of its records.
//!
//! The proof depends only on the table that `EXPLAIN` returns
//! (<https://www.sqlite.org/opcode.html>). Any program but exactly this one is refused, with the
//! reason, and the statement is then stepped:
//!
//! ```text
//! Init → [Noop…] OpenRead [Noop…] Rewind (Column|Rowid [RealAffinity])… ResultRow Next Halt
//!      ← Transaction Goto
//! ```

use std::fmt;

use crate::session::explain::Instruction;

/// The projection that a plain program computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Projection {
    /// Number of the database that the b-tree is in.
    pub(crate) database: i64,
    /// The schema cookie with which the program was compiled.
    pub(crate) cookie: i64,
    /// Number of the first page of the b-tree.
    pub(crate) root: u32,
    /// Whether the rows are the keys of an index, as those of a table `WITHOUT ROWID` are.
    pub(crate) is_index: bool,
    /// Whether the first field of an index ascends in plain order: by its bytes or its number.
    pub(crate) ascends: bool,
    pub(crate) columns: Vec<Column>,
}

/// A result column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) place: Place,
    /// Whether the column declares a default, which is its value in records that are older than the
    /// column.
    pub(crate) has_default: bool,
}

/// Where a result column's value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Rowid,
    Field {
        /// Index of the field in the record.
        index: usize,
        /// Whether an integer stands for the float that it equals.
        is_real: bool,
    },
}

impl Place {
    /// Returns how many of a record's first fields must be parsed to get the value.
    pub(crate) fn fields(self) -> usize {
        match self {
            Self::Rowid => 0,
            Self::Field { index, .. } => index + 1,
        }
    }
}

/// Reason why a program is not plain, and is stepped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// An instruction stands where the plain program has another one.
    Instruction {
        opcode: String,
        expected: &'static str,
    },
    /// An instruction has other operands than in the plain program.
    Operands { opcode: String },
    /// The program is shorter or longer than the plain one.
    Length,
    /// A jump leads elsewhere than in the plain program.
    Jump { opcode: &'static str },
    /// The registers are not those of a row's columns, in order.
    Registers,
    /// The transaction is on another database than the b-tree's.
    Database,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instruction { opcode, expected } => {
                write!(
                    f,
                    "its program has {opcode} where a plain one has {expected}"
                )
            }
            Self::Operands { opcode } => write!(f, "its program has other operands of {opcode}"),
            Self::Length => f.write_str("its program has another length"),
            Self::Jump { opcode } => write!(f, "its program's {opcode} leads elsewhere"),
            Self::Registers => f.write_str("its program uses registers in another order"),
            Self::Database => f.write_str("its program reads several databases"),
        }
    }
}

/// A position in a program, which moves forward only.
struct Reader<'a> {
    program: &'a [Instruction],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Takes the next instruction, if it has this opcode.
    fn found(&mut self, opcode: &str) -> Option<&'a Instruction> {
        let next = self
            .program
            .get(self.at)
            .filter(|next| next.opcode == opcode)?;
        self.at += 1;
        Some(next)
    }

    /// Takes the next instruction, which must have this opcode and operands that `allowed` accepts.
    fn expect(
        &mut self,
        opcode: &'static str,
        allowed: impl FnOnce(&Instruction) -> bool,
    ) -> Result<&'a Instruction, Unproven> {
        let next = self.program.get(self.at).ok_or(Unproven::Length)?;
        if next.opcode != opcode {
            return Err(Unproven::Instruction {
                opcode: next.opcode.clone(),
                expected: opcode,
            });
        }
        self.at += 1;
        if allowed(next) {
            Ok(next)
        } else {
            Err(operands(next))
        }
    }
}

fn operands(instruction: &Instruction) -> Unproven {
    Unproven::Operands {
        opcode: instruction.opcode.clone(),
    }
}

fn address(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

/// Returns the projection that a program computes, if the program is a plain one.
pub(crate) fn prove(program: &[Instruction]) -> Result<Projection, Unproven> {
    let mut reader = Reader { program, at: 0 };
    let init = reader.expect("Init", |init| init.p1 == 0 && init.p3 == 0 && init.p5 == 0)?;
    while reader.found("Noop").is_some() {}
    let open = reader.expect("OpenRead", |open| {
        open.p5 == 0 && open.p1 >= 0 && open.p3 >= 0
    })?;
    while reader.found("Noop").is_some() {}
    let cursor = open.p1;
    let rewind = reader.expect("Rewind", |rewind| {
        rewind.p1 == cursor && matches!(rewind.p4.as_deref(), None | Some("0")) && rewind.p5 == 0
    })?;
    let first_column = address(reader.at);
    let (columns, first_register) = columns(&mut reader, cursor)?;
    let count = address(columns.len());
    let row = reader.expect("ResultRow", |row| {
        row.p3 == 0 && row.p4.is_none() && row.p5 == 0
    })?;
    if row.p1 != first_register || row.p2 != count || count == 0 {
        return Err(Unproven::Registers);
    }
    let next = reader.expect("Next", |next| {
        next.p1 == cursor && next.p3 == 0 && next.p5 <= 1
    })?;
    if next.p2 != first_column {
        return Err(Unproven::Jump { opcode: "Next" });
    }
    if rewind.p2 != address(reader.at) {
        return Err(Unproven::Jump { opcode: "Rewind" });
    }
    reader.expect("Halt", |halt| {
        halt.p1 == 0 && halt.p2 == 0 && halt.p3 == 0 && halt.p4.is_none()
    })?;
    if init.p2 != address(reader.at) {
        return Err(Unproven::Jump { opcode: "Init" });
    }
    let transaction = reader.expect("Transaction", |begin| begin.p2 == 0 && begin.p5 == 1)?;
    if transaction.p1 != open.p3 {
        return Err(Unproven::Database);
    }
    let goto = reader.expect("Goto", |_| true)?;
    if goto.p2 != 1 {
        return Err(Unproven::Jump { opcode: "Goto" });
    }
    if reader.at != program.len() {
        return Err(Unproven::Length);
    }
    let (is_index, ascends) = open
        .p4
        .as_deref()
        .and_then(index)
        .ok_or_else(|| operands(open))?;
    Ok(Projection {
        database: open.p3,
        cookie: transaction.p3,
        root: u32::try_from(open.p2).map_err(|_| operands(open))?,
        is_index,
        ascends,
        columns,
    })
}

/// Parses the columns of a row: the columns, and the first one's register.
fn columns(reader: &mut Reader, cursor: i64) -> Result<(Vec<Column>, i64), Unproven> {
    let mut columns = Vec::new();
    let mut first = 0;
    loop {
        let (place, register, instruction) = if let Some(column) = reader.found("Column") {
            // With a `p5` of 64 or 128, the instruction returns only the length or the kind of the
            // value.
            let index = usize::try_from(column.p2).map_err(|_| operands(column))?;
            if column.p5 != 0 {
                return Err(operands(column));
            }
            let affinity = reader.found("RealAffinity");
            if affinity.is_some_and(|affinity| affinity.p1 != column.p3) {
                return Err(Unproven::Registers);
            }
            let is_real = affinity.is_some();
            (Place::Field { index, is_real }, column.p3, column)
        } else if let Some(rowid) = reader.found("Rowid") {
            if rowid.p3 != 0 || rowid.p4.is_some() || rowid.p5 != 0 {
                return Err(operands(rowid));
            }
            (Place::Rowid, rowid.p2, rowid)
        } else {
            return Ok((columns, first));
        };
        if instruction.p1 != cursor {
            return Err(operands(instruction));
        }
        if columns.is_empty() {
            first = register;
        }
        if register != first + address(columns.len()) {
            return Err(Unproven::Registers);
        }
        let has_default = instruction.p4.is_some();
        columns.push(Column { place, has_default });
    }
}

/// Parses the fourth operand of `OpenRead`: whether the b-tree is an index, whose key is shown as
/// `k(2,-NOCASE,)`, and whether its first field ascends in plain order. `None` if the operand is
/// neither such a key nor a table's number of columns.
fn index(p4: &str) -> Option<(bool, bool)> {
    if p4.parse::<u32>().is_ok() {
        return Some((false, false));
    }
    let key = p4.strip_prefix("k(")?.strip_suffix(')')?;
    let first = key.split(',').nth(1)?;
    Some((true, matches!(first, "" | "B")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::explain::instructions;
    use industrydb_core::Stop;
    use rusqlite::Connection;

    const SCHEMA: &str = "CREATE TABLE t (a INTEGER PRIMARY KEY, b REAL, c TEXT DEFAULT '', d DEFAULT NULL); \
        CREATE TABLE w (x REAL, y TEXT COLLATE NOCASE, z, PRIMARY KEY (x, y)) WITHOUT ROWID; \
        CREATE TABLE r (y TEXT COLLATE NOCASE PRIMARY KEY DESC, z) WITHOUT ROWID; \
        CREATE TABLE g (a, b AS (a + 1), c AS (a + 2) STORED); \
        CREATE TABLE i (a, b); CREATE INDEX ia ON i (a); \
        CREATE VIEW v AS SELECT c AS cc, b FROM t; CREATE VIRTUAL TABLE f USING fts5(x); \
        ATTACH ':memory:' AS other; CREATE TABLE other.o (a, b)";

    fn program(sql: &str) -> Vec<Instruction> {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(SCHEMA).expect("valid");
        instructions(&connection, sql, &Stop::default()).expect("explained")
    }

    fn field(index: usize, is_real: bool, has_default: bool) -> Column {
        let place = Place::Field { index, is_real };
        Column { place, has_default }
    }

    const ROWID: Column = Column {
        place: Place::Rowid,
        has_default: false,
    };

    #[test]
    fn plain_projections_are_proved() {
        let all = vec![
            ROWID,
            field(1, true, false),
            field(2, false, true),
            field(3, false, true),
        ];
        let b = vec![field(1, true, false)];
        for (sql, columns) in [
            ("SELECT * FROM t", &all),
            ("SELECT * FROM (SELECT * FROM t) WHERE 1", &all),
            ("WITH n AS (SELECT * FROM t) SELECT * FROM n AS m", &all),
            ("SELECT * FROM t ORDER BY rowid", &all),
            ("SELECT b FROM t AS u", &b),
            ("SELECT b FROM v", &b),
            ("SELECT +b FROM t NOT INDEXED", &b),
            (
                "SELECT d, d, rowid FROM t",
                &vec![field(3, false, true), field(3, false, true), ROWID],
            ),
            (
                "SELECT a, c FROM g",
                &vec![field(0, false, false), field(1, false, false)],
            ),
            (
                "SELECT z, y, x FROM w",
                &vec![
                    field(2, false, false),
                    field(1, false, false),
                    field(0, true, false),
                ],
            ),
        ] {
            let proved = prove(&program(sql));
            let proved = proved.unwrap_or_else(|why| unreachable!("{sql}: {why}"));
            assert_eq!(proved.columns, *columns, "{sql}");
            assert_eq!(proved.database, 0);
        }
        assert!(prove(&program("SELECT * FROM w")).is_ok_and(|w| w.is_index && w.ascends));
        assert!(prove(&program("SELECT * FROM r")).is_ok_and(|r| r.is_index && !r.ascends));
        assert!(prove(&program("SELECT * FROM t")).is_ok_and(|t| !t.is_index && !t.ascends));
        assert_eq!(
            prove(&program("SELECT * FROM o")).map(|o| o.database),
            Ok(2)
        );
    }

    #[test]
    fn what_does_more_is_refused_for_its_instruction() {
        for (sql, opcode) in [
            ("SELECT a FROM t LIMIT 5", "Integer"),
            ("SELECT a, 1 FROM t", "Integer"),
            ("SELECT a FROM t LIMIT -1", "Integer"),
            ("SELECT b FROM g", "IfNullRow"),
            ("SELECT CAST(c AS BLOB) FROM t", "Cast"),
            ("SELECT c || c FROM t", "Concat"),
            ("SELECT upper(c) FROM t", "Function"),
            ("SELECT * FROM t WHERE c IS NOT NULL", "Column"),
            ("SELECT * FROM t WHERE b", "IfNot"),
            ("SELECT * FROM t WHERE 0", "Goto"),
            ("SELECT * FROM t WHERE a = 5", "Integer"),
            ("SELECT * FROM t WHERE a > 5", "SeekGT"),
            ("SELECT * FROM t ORDER BY a DESC", "Last"),
            ("SELECT * FROM t ORDER BY c", "SorterOpen"),
            ("SELECT DISTINCT c FROM t", "OpenEphemeral"),
            ("SELECT count(*) FROM t", "Count"),
            ("SELECT max(b) FROM t", "Null"),
            ("SELECT b FROM t GROUP BY b", "SorterOpen"),
            ("SELECT * FROM t, g", "OpenRead"),
            ("SELECT * FROM t LEFT JOIN g ON 0", "OpenRead"),
            ("SELECT a FROM t UNION ALL SELECT b FROM t", "OpenRead"),
            ("SELECT a FROM t UNION SELECT b FROM t", "Integer"),
            ("SELECT (SELECT a FROM t)", "BeginSubrtn"),
            ("SELECT row_number() OVER () FROM t", "Null"),
            (
                "WITH n AS MATERIALIZED (SELECT b FROM t) SELECT * FROM n",
                "Goto",
            ),
            ("SELECT rowid FROM i", "IdxRowid"),
            ("SELECT * FROM f", "VOpen"),
            ("VALUES (1)", "Integer"),
            ("PRAGMA schema_version", "Transaction"),
        ] {
            match prove(&program(sql)) {
                Err(
                    Unproven::Instruction { opcode: found, .. }
                    | Unproven::Operands { opcode: found },
                ) => {
                    assert_eq!(found, opcode, "{sql}");
                }
                other => unreachable!("{sql}: {other:?}"),
            }
        }
        for sql in [
            "SELECT length(c) FROM t",
            "SELECT typeof(c) FROM t",
            "SELECT octet_length(c) FROM t",
        ] {
            let refused = prove(&program(sql));
            let opcode = "Column".to_owned();
            assert_eq!(refused, Err(Unproven::Operands { opcode }), "{sql}");
        }
        assert_eq!(
            prove(&program("EXPLAIN SELECT a FROM t")),
            Err(Unproven::Length)
        );
    }

    /// A program with one operand changed is refused or proves another projection: it is never
    /// taken for the original.
    #[test]
    fn every_operand_counts() {
        let sql = "SELECT b, a, c FROM t ORDER BY rowid";
        let plain = program(sql);
        let proved = prove(&plain).expect("plain");
        for at in 0..plain.len() {
            for operand in ["opcode", "p1", "p2", "p3", "p5"] {
                let mut program = plain.clone();
                let changed = &mut program[at];
                match operand {
                    "opcode" => changed.opcode.push('!'),
                    "p1" => changed.p1 += 1,
                    "p2" => changed.p2 += 1,
                    "p3" => changed.p3 += 1,
                    _ => changed.p5 += 1,
                }
                // Noop does nothing, and counters and operands that an instruction does not use do
                // not matter.
                let is_unused = match plain[at].opcode.as_str() {
                    "Noop" => operand != "opcode",
                    "RealAffinity" => matches!(operand, "p2" | "p3" | "p5"),
                    "Goto" => matches!(operand, "p1" | "p3" | "p5"),
                    "Rewind" => operand == "p3",
                    "Halt" => operand == "p5",
                    _ => false,
                };
                let found = prove(&program);
                if is_unused {
                    assert_eq!(found.as_ref(), Ok(&proved), "{at} {operand}");
                } else {
                    assert_ne!(found.as_ref(), Ok(&proved), "{at} {operand}");
                }
            }
            let mut shorter = plain.clone();
            shorter.remove(at);
            if plain[at].opcode != "Noop" {
                assert_ne!(prove(&shorter).as_ref(), Ok(&proved), "{at} removed");
            }
            let mut longer = plain.clone();
            longer.insert(at, plain[at].clone());
            assert_ne!(prove(&longer).as_ref(), Ok(&proved), "{at} twice");
        }
    }

    #[test]
    fn each_reason_is_given() {
        let plain = program("SELECT b, a, c FROM t ORDER BY rowid");
        let changed = |opcode: &str, change: &dyn Fn(&mut Instruction)| {
            let mut program = plain.clone();
            program
                .iter_mut()
                .filter(|i| i.opcode == opcode)
                .for_each(change);
            prove(&program)
        };
        assert_eq!(
            changed("Next", &|next| next.p2 += 1),
            Err(Unproven::Jump { opcode: "Next" })
        );
        assert_eq!(
            changed("Rewind", &|rewind| rewind.p2 -= 1),
            Err(Unproven::Jump { opcode: "Rewind" })
        );
        assert_eq!(
            changed("Init", &|init| init.p2 -= 1),
            Err(Unproven::Jump { opcode: "Init" })
        );
        assert_eq!(
            changed("Goto", &|goto| goto.p2 += 1),
            Err(Unproven::Jump { opcode: "Goto" })
        );
        assert_eq!(
            changed("ResultRow", &|row| row.p2 -= 1),
            Err(Unproven::Registers)
        );
        assert_eq!(
            changed("Rowid", &|rowid| rowid.p2 += 1),
            Err(Unproven::Registers)
        );
        assert_eq!(
            changed("RealAffinity", &|affinity| affinity.p1 += 1),
            Err(Unproven::Registers)
        );
        assert_eq!(
            changed("Transaction", &|begin| begin.p1 += 1),
            Err(Unproven::Database)
        );
        let operands = |opcode: &str| {
            Err(Unproven::Operands {
                opcode: opcode.to_owned(),
            })
        };
        assert_eq!(
            changed("OpenRead", &|open| open.p4 = Some("x".to_owned())),
            operands("OpenRead")
        );
        assert_eq!(
            changed("OpenRead", &|open| open.p5 = 16),
            operands("OpenRead")
        );
        assert_eq!(
            changed("Transaction", &|begin| begin.p2 = 1),
            operands("Transaction")
        );
        assert_eq!(
            changed("Column", &|column| column.p1 += 1),
            operands("Column")
        );
    }
}
