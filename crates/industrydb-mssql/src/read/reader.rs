//! The reader of a described request: it divides, narrows and reads.

use industrydb_core::narrow::Narrowing;
use industrydb_core::shape::has_groups;
use industrydb_core::statements::Statement;
use industrydb_core::{
    Division, Error, Output, Parameters, Partition, Phase, Reader, Result, Stop, Target,
};
use mssql_tds::query::metadata::ColumnMetadata;

use crate::columns::rows::Rows;
use crate::read::batches::into_output;
use crate::read::divide::divided;
use crate::read::narrowed::{Columns, narrowed};
use crate::read::query::MssqlQuery;
use crate::session::described::{DescribedColumn, is_document, unnamed};
use crate::sql::dialect::LEXICON;
use crate::types;

impl Reader for MssqlQuery {
    fn begin(&self, partitions: usize, max_sessions: usize, _stop: &Stop) -> Result<Option<usize>> {
        let sessions = partitions.min(max_sessions);
        if sessions > 1 {
            log::info!(
                "SQL Server's sessions share no snapshot: each partition sees the database as it is when it is read"
            );
        }
        Ok(Some(sessions))
    }

    fn retire(&self) {
        drop(self.idle.take());
    }

    fn release(&self) {
        self.idle.take_all();
    }

    fn divide(&self, target: Target, stop: &Stop) -> Result<Division<'_>> {
        divided(self, target, stop)
    }

    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement> {
        let sources = match narrowing.filter {
            // A collation can put 'a' and 'A' into one group: a condition could change which of
            // them represents the group.
            Some(_) if !has_groups(query, LEXICON) => self.sources(stop)?,
            _ => Vec::new(),
        };
        let of = Columns {
            fields: &self.fields,
            names: &self.names,
            sources: &sources,
        };
        Ok(narrowed(query, &of, narrowing, parameters))
    }

    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()> {
        self.with_session(stop, |session| {
            output.meter.reach(Phase::Connected);
            let number = partition.number;
            let (described, decodings) = (&self.described[number], &self.decodings[number]);
            let rows = |sent: &[ColumnMetadata]| {
                reject_changed(described, sent)?;
                Ok(Rows::new(&self.fields[..], decodings))
            };
            into_output(
                session,
                &partition.query,
                &self.parameters,
                rows,
                output,
                stop,
            )
        })
    }
}

/// Refuses a result whose columns differ from the described ones: the table may have been altered
/// since.
///
/// Types count as the same if they are decoded in the same way, since the server describes some
/// types in more detail than it sends them.
fn reject_changed(described: &[DescribedColumn], sent: &[ColumnMetadata]) -> Result<()> {
    let is_same = |(index, (described, sent)): (usize, (&DescribedColumn, &ColumnMetadata))| {
        // A column without a name gets one in the query of a partition.
        let has_name = described.name == sent.column_name
            || described.name.is_empty() && sent.column_name == unnamed(index)
            || is_document(std::slice::from_ref(sent));
        has_name && types::decoding(&described.type_name) == types::decoding(&types::name(sent))
    };
    let mut pairs = described.iter().zip(sent).enumerate();
    if described.len() == sent.len() && pairs.all(is_same) {
        return Ok(());
    }
    let shown = |columns: &mut dyn Iterator<Item = (&str, String)>| {
        let columns = columns.map(|(name, type_name)| format!("{name:?} ({type_name})"));
        columns.collect::<Vec<_>>().join(", ")
    };
    let mut before = described
        .iter()
        .map(|column| (&*column.name, column.type_name.clone()));
    let mut now = sent
        .iter()
        .map(|column| (&*column.column_name, types::name(column)));
    Err(Error::Query {
        message: format!(
            "the query's columns have changed since they were described: they were {}, and are {}: read again",
            shown(&mut before),
            shown(&mut now)
        ),
        code: None,
        partition: None,
        is_transient: true,
    })
}
