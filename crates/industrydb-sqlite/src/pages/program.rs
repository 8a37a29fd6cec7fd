//! Proves from a statement's own bytecode that it passes over one stored tree and hands out fields of its records.
//!
//! A pure function over the table that `EXPLAIN` returns (<https://www.sqlite.org/opcode.html>). Whatever is not exactly this
//! program is refused, with the reason: the statement is then stepped.
//!
//! ```text
//! Init → [Noop…] OpenRead [Noop…] Rewind (Column|Rowid [RealAffinity])… ResultRow Next Halt
//!      ← Transaction Goto
//! ```

use std::fmt;

/// An instruction as `EXPLAIN` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) opcode: String,
    pub(crate) p1: i64,
    pub(crate) p2: i64,
    pub(crate) p3: i64,
    pub(crate) p4: Option<String>,
    pub(crate) p5: i64,
}

/// What the program does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Projection {
    /// The number of the database whose tree it is.
    pub(crate) database: i64,
    /// The schema cookie with which the program was compiled.
    pub(crate) cookie: i64,
    /// The first page of the tree.
    pub(crate) root: u32,
    /// Whether the rows are the keys of an index, as those of a table `WITHOUT ROWID` are.
    pub(crate) is_index: bool,
    /// Whether the first field of an index ascends by its bytes or its number.
    pub(crate) ascends: bool,
    pub(crate) columns: Vec<Column>,
}

/// A result column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) place: Place,
    /// Whether records that are older than the column have another value there than NULL.
    pub(crate) has_default: bool,
}

/// Where a result column's value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Rowid,
    Field {
        /// Its place in the record.
        index: usize,
        /// Whether an integer stands for the float that it equals.
        is_real: bool,
    },
}

/// Why a program is stepped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// An instruction stands where the plain program has another one.
    Instruction {
        opcode: String,
        expected: &'static str,
    },
    /// An instruction has operands that it has not in the plain program.
    Operands { opcode: String },
    /// The program ends before it should, or goes on behind.
    Length,
    /// A jump leads elsewhere.
    Jump { opcode: &'static str },
    /// The registers are not those of a row, one behind the other.
    Registers,
    /// The transaction is one on another database.
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

/// Goes through a program once.
struct Reader<'a> {
    program: &'a [Instruction],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next instruction, if it has this opcode.
    fn found(&mut self, opcode: &str) -> Option<&'a Instruction> {
        let next = self
            .program
            .get(self.at)
            .filter(|next| next.opcode == opcode)?;
        self.at += 1;
        Some(next)
    }

    /// The next instruction, which must have this opcode and no operands but those that are `allowed`.
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

/// What a program does, if it is a plain one.
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
    let index = open
        .p4
        .as_deref()
        .and_then(index)
        .ok_or_else(|| operands(open))?;
    Ok(Projection {
        database: open.p3,
        cookie: transaction.p3,
        root: u32::try_from(open.p2).map_err(|_| operands(open))?,
        is_index: index.is_some(),
        ascends: index == Some(true),
        columns,
    })
}

/// The columns of a row, and the first one's register.
fn columns(reader: &mut Reader, cursor: i64) -> Result<(Vec<Column>, i64), Unproven> {
    let mut columns = Vec::new();
    let mut first = 0;
    loop {
        let (place, register, instruction) = if let Some(column) = reader.found("Column") {
            // With 64 or 128, it is no more than the length or the kind of the value.
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

/// What the fourth operand of OpenRead tells: a number for a table, and for an index its key, with whether it ascends in
/// the plain order: `k(2,-NOCASE,)`. `None` where it is neither.
fn index(p4: &str) -> Option<Option<bool>> {
    if p4.parse::<u32>().is_ok() {
        return Some(None);
    }
    let key = p4.strip_prefix("k(")?.strip_suffix(')')?;
    let first = key.split(',').nth(1)?;
    Some(Some(matches!(first, "" | "B")))
}
