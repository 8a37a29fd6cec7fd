//! Rows that may conflict with those of the table: they go into a temporary table first, from which
//! the server sorts them out.

use industrydb_core::statements::reject_missing_keys;
use industrydb_core::{Error, Frame, Result, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::quoted;
use crate::wire::errors::unexpected;
use crate::write::target::{Target, keys};

/// Name of the temporary table.
const STAGE: &str = "industrydb_rows";

/// A temporary table with the columns of the frame.
pub(crate) struct Stage {
    /// Quoted name, in the schema of the table that the rows are for.
    pub(crate) name: String,
    /// Columns of the primary key, if rows are replaced by it.
    keys: Vec<String>,
}

impl Stage {
    /// Creates the temporary table, whose columns have the types and collations of the table's. With
    /// its primary key, keys that are equal in the table are equal here.
    pub(crate) fn new(
        session: &mut Session,
        table: &str,
        target: &Target,
        replaces: bool,
        stop: &Stop,
    ) -> Result<Self> {
        let schema = target
            .name
            .rsplit_once(".`")
            .map(|(schema, _)| format!("{schema}."));
        let name = format!("{}{}", schema.unwrap_or_default(), quoted(STAGE));
        let mut stage = Self {
            name,
            keys: Vec::new(),
        };
        let given: Vec<&str> = target
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        // A server may refuse tables without a primary key.
        let primary = if replaces {
            stage.keys = keys(session, table, &target.name, stop)?;
            reject_missing_keys(table, &stage.keys, &given)?;
            let keys: Vec<String> = stage.keys.iter().map(|key| quoted(key)).collect();
            format!("PRIMARY KEY ({})", keys.join(", "))
        } else {
            format!(
                "{} bigint AUTO_INCREMENT PRIMARY KEY",
                quoted(&unused(&given))
            )
        };
        stage.drop(session, stop)?;
        let sql = format!(
            "CREATE TEMPORARY TABLE {} ({primary}) SELECT {} FROM {} WHERE FALSE",
            stage.name,
            target.names(),
            target.name
        );
        session.run(&sql, stop)?;
        Ok(stage)
    }

    /// Drops the temporary table, which the end of a transaction leaves.
    pub(crate) fn drop(&self, session: &mut Session, stop: &Stop) -> Result<()> {
        let sql = format!("DROP TEMPORARY TABLE IF EXISTS {}", self.name);
        session.run(&sql, stop).map(drop)
    }

    /// Inserts the rows that share no unique key with a row of the table; returns their number.
    pub(crate) fn insert_new(
        &self,
        session: &mut Session,
        target: &Target,
        frame: &Frame,
        stop: &Stop,
    ) -> Result<u64> {
        let names = target.names();
        let Some(first) = target.columns.first() else {
            return Ok(0);
        };
        // A row that is there stays as it is, and is counted: among the rows that the server says it
        // has changed. INSERT IGNORE would also ignore other constraints that a row breaks.
        let kept = format!("{}.{}", target.name, quoted(&first.name));
        let sql = format!(
            "INSERT INTO {} ({names}) SELECT {names} FROM {} AS s ON DUPLICATE KEY UPDATE \
             {kept} = IF(@industrydb_kept := @industrydb_kept + 1, {kept}, NULL)",
            target.name, self.name
        );
        session.run("SET @industrydb_kept = 0", stop)?;
        session.run(&sql, stop)?;
        let told = session.rows("SELECT @industrydb_kept", stop)?;
        let told = told.into_iter().flatten().flatten().next();
        let known = told.and_then(|number| number.parse::<u64>().ok());
        let known = known.ok_or_else(|| unexpected("the number of known rows"))?;
        Ok((frame.height() as u64).saturating_sub(known))
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

/// Returns a name that no column has.
fn unused(columns: &[&str]) -> String {
    let mut name = "industrydb_row".to_owned();
    while columns
        .iter()
        .any(|other| other.eq_ignore_ascii_case(&name))
    {
        name.push('_');
    }
    name
}
