//! Rows that may conflict with those of the table: they go into a temporary table first, from which
//! the server sorts them out.

use industrydb_core::dialect::Dialect;
use industrydb_core::statements::reject_missing_keys;
use industrydb_core::{Error, Result, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::quoted;
use crate::wire::errors::{Report, TABLE_EXISTS, number, unexpected};
use crate::write::settings::Limits;
use crate::write::target::{Target, keys};

/// Name of the temporary table.
const STAGE: &str = "industrydb_rows";

/// Number of rows that one statement sorts out: the server lists up to 65,535 warnings.
const ROWS: u64 = 20_000;

/// Errors of a row that shares a unique key with another one.
const DUPLICATE: [&str; 2] = ["1062", "1586"];

/// A temporary table with the columns of the frame.
pub(crate) struct Stage {
    /// Quoted name, in the schema of the table that the rows are for.
    pub(crate) name: String,
    /// Columns of the primary key, if rows are replaced by it.
    keys: Vec<String>,
    /// Quoted name of the column that numbers the rows from 1, if they are not replaced.
    number: String,
}

impl Stage {
    /// Creates the temporary table, whose columns have the types and collations of the table's. With
    /// its primary key, keys that are equal in the table are equal here.
    pub(crate) fn new(
        session: &mut Session,
        dialect: &Dialect,
        table: &str,
        target: &Target,
        replaces: bool,
        stop: &Stop,
    ) -> Result<Self> {
        let mut parts = dialect.parts(table)?;
        let own = parts.pop().unwrap_or_default();
        let schema: String = parts.iter().map(|part| quoted(part) + ".").collect();
        let named = |name: &str| format!("{schema}{}", quoted(name));
        let mut name = unused(STAGE, &[&own]);
        let given: Vec<&str> = target
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let mut stage = Self {
            name: named(&name),
            keys: Vec::new(),
            number: quoted(&unused("industrydb_row", &given)),
        };
        // A server may refuse tables without a primary key.
        let primary = if replaces {
            stage.keys = keys(session, table, &target.name, stop)?;
            reject_missing_keys(table, &stage.keys, &given)?;
            let keys: Vec<String> = stage.keys.iter().map(|key| quoted(key)).collect();
            format!("PRIMARY KEY ({})", keys.join(", "))
        } else {
            format!("{} bigint AUTO_INCREMENT PRIMARY KEY", stage.number)
        };
        loop {
            let sql = format!(
                "CREATE TEMPORARY TABLE {} ({primary}) ENGINE=InnoDB SELECT {} FROM {} WHERE FALSE",
                stage.name,
                target.names(),
                target.name
            );
            match session.run(&sql, stop) {
                // The caller may have one of this name.
                Err(error) if number(&error) == Some(TABLE_EXISTS) => {
                    name.push('_');
                    stage.name = named(&name);
                }
                created => return created.map(|_| stage),
            }
        }
    }

    /// Drops the temporary table, which the end of a transaction leaves.
    pub(crate) fn drop(&self, session: &mut Session, stop: &Stop) -> Result<()> {
        let sql = format!("DROP TEMPORARY TABLE IF EXISTS {}", self.name);
        session.run(&sql, stop).map(drop)
    }

    /// Inserts the rows that share no unique key with a row of the table; returns their number.
    ///
    /// `INSERT IGNORE` also leaves out rows that break other constraints, and warns of each row that
    /// it leaves out. `ON DUPLICATE KEY UPDATE` would update a row by itself, which is something to
    /// triggers and to the table's history.
    pub(crate) fn insert_new(
        &self,
        session: &mut Session,
        target: &Target,
        limits: Limits,
        stop: &Stop,
    ) -> Result<u64> {
        // A row gives one warning, if any.
        let rows = ROWS.min(limits.warnings).max(1);
        let (names, place) = (target.names(), &self.number);
        let most = session.rows(&format!("SELECT MAX({place}) FROM {}", self.name), stop)?;
        let most = most.into_iter().flatten().flatten().next();
        let most: u64 = most.and_then(|most| most.parse().ok()).unwrap_or(0);
        let mut written = 0;
        let mut first = 1;
        while first <= most {
            let sql = format!(
                "INSERT IGNORE INTO {} ({names}) SELECT {names} FROM {} WHERE {place} BETWEEN {first} AND {} \
                 ORDER BY {place}",
                target.name,
                self.name,
                first + rows - 1
            );
            let ended = session.run(&sql, stop)?;
            if ended.warnings > 0 {
                reject_others(session, ended.warnings, stop)?;
            }
            written += ended.changed;
            first += rows;
        }
        Ok(written)
    }

    /// Updates the rows of the table with the same primary key, and inserts the others; returns how
    /// many were written.
    pub(crate) fn replace(
        &self,
        session: &mut Session,
        target: &Target,
        stop: &Stop,
    ) -> Result<u64> {
        let joined: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!("t.{key} = s.{key}", key = quoted(key)))
            .collect();
        let joined = joined.join(" AND ");
        let is_key = |name: &String| self.keys.iter().any(|key| key.eq_ignore_ascii_case(name));
        let others: Vec<String> = target
            .columns
            .iter()
            .map(|column| &column.name)
            .filter(|name| !is_key(name))
            .map(|name| format!("t.{name} = s.{name}", name = quoted(name)))
            .collect();
        let mut updated = 0;
        if !others.is_empty() {
            let sql = format!(
                "UPDATE {} AS t JOIN {} AS s ON {joined} SET {}",
                target.name,
                self.name,
                others.join(", ")
            );
            updated = session.run(&sql, stop)?.changed;
        }
        // MySQL does not open a temporary table twice in one statement.
        let sql = format!(
            "DELETE s FROM {} AS s JOIN {} AS t ON {joined}",
            self.name, target.name
        );
        let known = session.run(&sql, stop)?.changed;
        // Without locks of the gaps between keys, others may have inserted some since the update.
        if !others.is_empty() && known != updated {
            return Err(Error::Query {
                message:
                    "another session has inserted rows with the same keys meanwhile: insert again"
                        .to_owned(),
                code: None,
                partition: None,
                is_transient: true,
            });
        }
        let names = target.names();
        let sql = format!(
            "INSERT INTO {} ({names}) SELECT {names} FROM {}",
            target.name, self.name
        );
        Ok(updated + session.run(&sql, stop)?.changed)
    }
}

/// Returns an error if the server has warned of more than rows that share a unique key.
fn reject_others(session: &mut Session, warnings: u16, stop: &Stop) -> Result<()> {
    let listed = session.rows("SHOW WARNINGS", stop)?; // Level, Code, Message
    let mut others = listed.iter().filter_map(|row| match &row[..] {
        [_, Some(code), _] if DUPLICATE.contains(&code.as_str()) => None,
        [_, code, message] => Some((code.clone(), message.clone())),
        _ => None,
    });
    let Some((code, message)) = others.next() else {
        let is_whole = listed.len() >= usize::from(warnings);
        return is_whole
            .then_some(())
            .ok_or_else(|| unexpected("all warnings"));
    };
    let report = Report {
        number: code.and_then(|code| code.parse().ok()).unwrap_or_default(),
        sqlstate: String::new(),
        message: message.unwrap_or_default(),
    };
    Err(report.query_error())
}

/// Returns a name that begins in this way, and is none of the others.
fn unused(name: &str, others: &[&str]) -> String {
    let mut name = name.to_owned();
    while others.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
        name.push('_');
    }
    name
}
