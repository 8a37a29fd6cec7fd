//! Settles the types of columns whose type depends on their values, before the first row is handed
//! over.
//!
//! Such columns are read twice: first alone, to find their types. Batches need this, and so do the
//! partitions of a plan, because each is read by itself, perhaps in another process.

use std::borrow::Cow;

use crate::base::error::Result;
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::data::widen::{needed, unify};
use crate::read::connector::{DatabaseConnector, Described};
use crate::read::held::cannot_hold;
use crate::read::meter::Meter;
use crate::read::output::Output;
use crate::read::partition::Partition;
use crate::read::request::{Request, reject_changed_types};
use crate::schema::column_type::ColumnType;
use crate::schema::field::reject_duplicate_names;
use crate::sql::narrow::Narrowing;

/// Number of rows per batch while the types of columns are measured.
const MEASURED_ROWS: usize = 65_536;

/// Returns the request for only the wanted columns and rows.
pub(crate) fn narrowed<'a>(
    request: &'a Request,
    connector: &dyn DatabaseConnector,
    stop: &Stop,
) -> Result<Cow<'a, Request>> {
    let Some(narrowing) = &request.narrowing else {
        return Ok(Cow::Borrowed(request));
    };
    let query = describe(connector, request, stop)?;
    let mut narrowed = Request {
        queries: Vec::new(),
        narrowing: None,
        ..request.clone()
    };
    for sql in &query.queries {
        let (sql, parameters) = query
            .reader
            .narrowed(sql, narrowing, &request.parameters, stop)?;
        log::debug!("reading no more than {sql}");
        narrowed.queries.push(sql);
        narrowed.parameters = parameters; // the same for each query
    }
    let stays = |name: &String| narrowing.columns.is_empty() || narrowing.columns.contains(name);
    narrowed.overrides.retain(|(name, _)| stays(name));
    Ok(Cow::Owned(narrowed))
}

/// Describes a request. Refuses a held snapshot if the database cannot hold one.
pub(crate) fn describe(
    connector: &dyn DatabaseConnector,
    request: &Request,
    stop: &Stop,
) -> Result<Described> {
    if request.held.is_some() && connector.holder().is_none() {
        return Err(cannot_hold());
    }
    connector.describe(request, stop)
}

/// Describes a request. Refuses columns of the same name, and columns whose type is not the settled
/// one.
pub(crate) fn described(
    connector: &dyn DatabaseConnector,
    request: &Request,
    stop: &Stop,
) -> Result<Described> {
    let query = describe(connector, request, stop)?;
    reject_duplicate_names(&query.fields)?;
    reject_changed_types(request, &query.fields)?;
    Ok(query)
}

/// Describes a request with settled types: reads each column whose type depends on its values to
/// find the type that they need. The types in `known` are taken as they are.
pub(crate) fn settled(
    connector: &dyn DatabaseConnector,
    request: &Request,
    known: &[(String, ColumnType)],
    stop: &Stop,
) -> Result<Described> {
    let query = described(connector, request, stop)?;
    let open = query.open_columns(stop)?;
    let differs = |(name, known): &&(String, ColumnType)| {
        let field = query.fields.iter().find(|field| field.name == *name);
        field.is_some_and(|field| field.column_type != *known && request.asked(name).is_none())
    };
    let mut types: Vec<(String, ColumnType)> = known.iter().filter(differs).cloned().collect();
    let is_known = |name: &String| known.iter().any(|(other, _)| other == name);
    let unknown: Vec<String> = open.into_iter().filter(|name| !is_known(name)).collect();
    if !unknown.is_empty() {
        types.extend(measured(connector, &query, request, &unknown, stop)?);
    }
    for (name, column_type) in &mut types {
        // The column has no values: one that is inserted before the read must not change the type.
        if *column_type == ColumnType::Null
            && let Some(field) = query.fields.iter().find(|field| field.name == *name)
        {
            *column_type = field.column_type.settled();
        }
    }
    types.retain(|(_, column_type)| *column_type != ColumnType::Null);
    if types.is_empty() {
        return Ok(query);
    }
    drop(query);
    let mut request = request.clone();
    request.settled = types;
    described(connector, &request, stop)
}

/// Reads some columns to find the types that their values need.
fn measured(
    connector: &dyn DatabaseConnector,
    query: &Described,
    request: &Request,
    columns: &[String],
    stop: &Stop,
) -> Result<Vec<(String, ColumnType)>> {
    log::info!(
        "the values of {columns:?} decide their types: these columns are read twice; schema_overrides saves that"
    );
    let narrowing = Narrowing {
        columns: columns.to_vec(),
        ..Narrowing::default()
    };
    let measuring = |sql: &String| {
        if let Some(own) = query.reader.measuring(sql, columns, stop)? {
            return Ok(own);
        }
        let narrowed = query
            .reader
            .narrowed(sql, &narrowing, &request.parameters, stop)?;
        Ok(narrowed.0)
    };
    let request = Request {
        queries: query.queries.iter().map(measuring).collect::<Result<_>>()?,
        overrides: Vec::new(),
        ..request.clone()
    };
    query.reader.release();
    let query = described(connector, &request, stop)?;
    let fields = &query.fields;
    let mut types = vec![ColumnType::Null; fields.len()];
    for (number, sql) in (0..).zip(&query.queries) {
        let mut take = |chunk: Chunk| {
            if chunk.height == 0 {
                return Ok(());
            }
            for ((known, field), column) in types.iter_mut().zip(fields).zip(chunk.columns) {
                let (found, _) = unify(&field.column_type, vec![column])
                    .map_err(|error| error.at(&field.name, &field.database_type, None))?;
                *known = needed(std::mem::replace(known, ColumnType::Null), found);
            }
            Ok(())
        };
        let meter = Meter::default();
        let mut output = Output::measure(MEASURED_ROWS, &meter, &mut take);
        let partition = Partition::whole(number, sql);
        query.reader.read_into(&partition, &mut output, stop)?;
    }
    let names = fields.iter().map(|field| field.name.clone());
    let found = names.zip(types);
    Ok(found.filter(|(name, _)| columns.contains(name)).collect()) // the measuring query may have others
}
