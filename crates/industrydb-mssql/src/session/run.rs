//! Runs statements: their rows go into a sink, their counts and descriptions to the caller.

use industrydb_core::field::reject_duplicate_names;
use industrydb_core::{Answer, Error, Result, Stop};
use mssql_tds::connection::tds_client::{BufferedRowPoll, ResultSet, StatementResult, TdsClient};
use mssql_tds::core::CancelHandle;
use mssql_tds::error::Error as TdsError;
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;
use mssql_tds::query::metadata::ColumnMetadata;

use crate::columns::rows::Rows;
use crate::columns::sink::Sink;
use crate::columns::writer::Writer;
use crate::session::connect::{Session, options};
use crate::session::described::{DescribedColumn, is_document};
use crate::session::texts::Texts;
use crate::sql::metadata::Source;
use crate::types;
use crate::wire::errors::failed;

impl Session {
    /// Describes the columns of a statement's result by running it; its rows are discarded.
    pub(crate) fn columns(
        &mut self,
        query: &str,
        parameters: &[RpcParameter],
        stop: &Stop,
    ) -> Result<Vec<DescribedColumn>> {
        self.work(stop, async |client, cancel| {
            let done = async {
                let mut result = start(client, query, parameters, cancel).await?;
                while matches!(result, StatementResult::NoRows { .. }) {
                    result = client.advance().await?;
                }
                let columns = if client.on_rows() {
                    let column = |column: &ColumnMetadata| DescribedColumn {
                        name: column.column_name.clone(),
                        type_name: types::name(column),
                        source: None,
                    };
                    client.get_metadata().iter().map(column).collect()
                } else {
                    Vec::new()
                };
                client.close_query().await?;
                Ok(columns)
            };
            done.await.map_err(failed)
        })
    }

    /// Describes columns by running `sql`, a call of `sp_describe_first_result_set`.
    pub(crate) fn described(&mut self, sql: &str, stop: &Stop) -> Result<Vec<DescribedColumn>> {
        let told = self.read(sql, &[], Texts::new, |texts, _| texts.check(), stop)?;
        let column = |row: &Vec<Option<String>>| {
            let cell = |name: &str| {
                let index = told.names.iter().position(|other| other == name)?;
                row.get(index).cloned().flatten()
            };
            // CLR types have no `system_type_name`.
            let type_name = cell("system_type_name")
                .or_else(|| Some(types::user_defined(&cell("user_type_name")?)))?;
            let source = || {
                Some(Source {
                    database: cell("source_database"),
                    schema: cell("source_schema")?,
                    table: cell("source_table")?,
                    column: cell("source_column")?,
                })
            };
            // Hidden columns are keys that the query does not select.
            let is_hidden =
                cell("is_hidden").is_some_and(|hidden| hidden == "true" || hidden == "1");
            (!is_hidden).then(|| DescribedColumn {
                name: cell("name").unwrap_or_default(),
                type_name,
                source: source(),
            })
        };
        Ok(told.rows.iter().filter_map(column).collect())
    }

    /// Reads a query's only result into a sink, and returns the sink. `sink` creates the sink for
    /// the result's columns, or refuses them; `after_row` is called after each row with the sink
    /// and the number of rows so far.
    pub(crate) fn read<S: Sink>(
        &mut self,
        query: &str,
        parameters: &[RpcParameter],
        sink: impl FnOnce(&[ColumnMetadata]) -> Result<S>,
        mut after_row: impl FnMut(&mut S, usize) -> Result<()>,
        stop: &Stop,
    ) -> Result<S> {
        self.work(stop, async |client, cancel| {
            let read: Result<S> = async {
                let first = start(client, query, parameters, cancel).await;
                let mut result = first.map_err(failed)?;
                while matches!(result, StatementResult::NoRows { .. }) {
                    result = client.advance().await.map_err(failed)?;
                }
                if !client.on_rows() {
                    return Err(Error::configuration(
                        "the query returns no rows: read_sql takes a SELECT",
                    ));
                }
                let columns = client.get_metadata();
                let is_document = is_document(columns);
                let mut writer = Writer::new(sink(columns)?, columns.len());
                let mut rows = 0;
                while next_row(client, &mut writer).await.map_err(failed)? {
                    writer.check()?;
                    rows += 1;
                    after_row(writer.sink(), rows)?;
                }
                if let Some(counted) = client.last_result_row_count()
                    && counted != writer.rows()
                    && !is_document
                {
                    return Err(Error::connection(format!(
                        "the server counted {counted} rows, and {} arrived",
                        writer.rows()
                    )));
                }
                if client.advance_to_rows().await.map_err(failed)? {
                    return Err(Error::configuration(
                        "the query returns several results: read_sql takes a statement that returns one",
                    ));
                }
                Ok(writer.into_sink())
            }
            .await;
            if let Err(Error::Configuration(_) | Error::Conversion(_)) = read {
                // The rest of the answer is still unread.
                client.close_query().await.map_err(failed)?;
            }
            read
        })
    }

    /// Runs a statement; returns its rows, built by the sink that `rows` creates, or the number of
    /// rows that it changed.
    pub(crate) fn execute(
        &mut self,
        statement: &str,
        parameters: &[RpcParameter],
        rows: impl FnOnce(&[ColumnMetadata]) -> Rows<'static>,
        stop: &Stop,
    ) -> Result<Answer> {
        self.work(stop, async |client, cancel| {
            let answer = executed(client, statement, parameters, rows, cancel).await;
            if let Err(Error::Configuration(_) | Error::Conversion(_)) = answer {
                // The rest of the answer is still unread.
                client.close_query().await.map_err(failed)?;
            }
            answer
        })
    }

    /// Reads a small result as text.
    pub(crate) fn texts(
        &mut self,
        query: &str,
        parameters: &[RpcParameter],
        stop: &Stop,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let texts = self.read(
            query,
            parameters,
            Texts::new,
            |texts, _| texts.check(),
            stop,
        )?;
        Ok(texts.rows)
    }
}

/// Writes the next row, and returns whether there was one. A row that has already arrived is taken
/// without awaiting, which saves the driver a task per row.
#[inline]
async fn next_row<S: Sink>(
    client: &mut TdsClient,
    writer: &mut Writer<S>,
) -> Result<bool, TdsError> {
    match client.try_next_buffered_row_into(writer)? {
        BufferedRowPoll::Complete => Ok(true),
        BufferedRowPoll::Exhausted => Ok(false),
        BufferedRowPoll::Partial => client.finish_row_into(writer).await.map(|()| true),
        BufferedRowPoll::Pending => client.next_row_into(writer).await,
    }
}

/// Runs a statement; returns its rows, or the number of rows that it changed.
async fn executed(
    client: &mut TdsClient,
    statement: &str,
    parameters: &[RpcParameter],
    rows: impl FnOnce(&[ColumnMetadata]) -> Rows<'static>,
    cancel: &CancelHandle,
) -> Result<Answer> {
    let mut changed = 0;
    let first = start(client, statement, parameters, cancel).await;
    let mut result = first.map_err(failed)?;
    while let StatementResult::NoRows { rows_affected } = result {
        changed += rows_affected.unwrap_or_default();
        result = client.advance().await.map_err(failed)?;
    }
    if !client.on_rows() {
        return Ok(Answer::Changed(changed));
    }
    let rows = rows(client.get_metadata());
    reject_duplicate_names(rows.fields())
        .map_err(|error| Error::configuration(format!("{error}; the statement has been run")))?;
    let width = rows.fields().len();
    let mut writer = Writer::new(rows, width);
    while next_row(client, &mut writer).await.map_err(failed)? {
        writer.check()?;
    }
    if client.advance_to_rows().await.map_err(failed)? {
        return Err(Error::configuration(
            "the statement returns several results: execute takes one that returns one; it has been run",
        ));
    }
    let height = usize::try_from(writer.rows()).unwrap_or(usize::MAX);
    let mut rows = writer.into_sink();
    let chunk = rows.take(height);
    Ok(Answer::Rows(rows.fields().to_vec(), chunk))
}

/// Sends a statement, by `sp_executesql` if it has parameters.
async fn start(
    client: &mut TdsClient,
    query: &str,
    parameters: &[RpcParameter],
    cancel: &CancelHandle,
) -> Result<StatementResult, TdsError> {
    if parameters.is_empty() {
        return client.execute(query.to_owned(), options(cancel)).await;
    }
    let parameters = parameters.to_vec();
    client
        .execute_sp_executesql(query.to_owned(), parameters, options(cancel))
        .await
}
