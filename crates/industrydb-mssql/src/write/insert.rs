//! Inserts the rows of a frame into a table, all or none.

use industrydb_core::{Error, Frame, Result, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::DIALECT;
use crate::sql::metadata;
use crate::write::load::bulk_load;
use crate::write::target::Rules;

/// Inserts all rows of a frame or none, by a transaction or a savepoint; returns their number.
pub(crate) fn insert(
    session: &mut Session,
    table: &str,
    frame: &Frame,
    stop: &Stop,
) -> Result<u64> {
    let target = DIALECT.target(table, frame.columns())?;
    let rules = metadata::column_rules(&DIALECT.parts(table)?);
    let depth = session.texts(metadata::DEPTH, &[], stop)?;
    let is_open = depth
        .into_iter()
        .flatten()
        .flatten()
        .any(|depth| depth != "0");
    let (begin, rollback) = if is_open {
        (
            "SAVE TRANSACTION industrydb_rows",
            "ROLLBACK TRANSACTION industrydb_rows",
        )
    } else {
        (DIALECT.begin, DIALECT.rollback)
    };
    session.run(begin, None, stop)?;
    let written = session
        .texts(&rules, &[], stop)
        .and_then(|rules| {
            let rules = Rules::new(rules);
            let choose = |found: &[_]| rules.load(table, frame, found);
            bulk_load(session, &target, frame, choose, stop)
        })
        .and_then(|rows| {
            if !is_open {
                let committed = session.run(DIALECT.commit, None, stop);
                committed.map_err(Error::of_lasting_work)?;
            }
            Ok(rows)
        });
    match written {
        Err(error @ (Error::Interrupted | Error::Connection { .. })) => Err(error),
        Err(error) => {
            // The rollback fails if the server has ended the transaction by itself; the first error
            // tells why.
            match session.run(rollback, None, stop) {
                Err(broken @ (Error::Interrupted | Error::Connection { .. })) => Err(broken),
                _ => Err(error),
            }
        }
        written => written,
    }
}
