//! What a query returns, asked from the server before it runs.

use industrydb_core::connector::{not_convertible, reject_other_fields};
use industrydb_core::planner::no_table;
use industrydb_core::query::has_word;
use industrydb_core::{
    Chunk, DatabaseConfig, DatabaseConnector, DescribedQuery, Error, Field, Idle, Request, Result,
    Sample, Stop, Target, Value,
};
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;

use crate::connect::Session;
use crate::options::Options;
use crate::rows::Rows;
use crate::types::{self, Decoding};
use crate::{dialect, parameters};

/// A SQL Server, 2016 or newer.
pub struct MssqlConnector {
    options: Options,
}

impl MssqlConnector {
    /// Checks what the configuration asks for; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for options that SQL Server does not have.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_mssql::MssqlConnector;
    ///
    /// let config = DatabaseConfig::from_uri("mssql://ana:secret@db/sales?encrypt=strict")?;
    /// MssqlConnector::new(&config)?;
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for MssqlConnector {
    fn describe(&self, request: &Request, stop: &Stop) -> Result<Box<dyn DescribedQuery>> {
        let queries = request.statements(dialect::LEXICON)?;
        let parameters = parameters::bound(&request.parameters)?;
        let declarations = parameters::declarations(&request.parameters);
        let mut session = Session::open(&self.options, &request.setup, stop)?;
        let mut described: Option<Vec<Field>> = None;
        let mut decodings = Vec::new();
        for (number, query) in (1..).zip(&queries) {
            let columns = prepare(&mut session, query, &declarations, &parameters, stop)?;
            let (fields, decoding) = with_types(&columns, request)?;
            decodings.push(decoding);
            match &described {
                Some(first) => reject_other_fields(first, &fields, number)?,
                None => described = Some(fields),
            }
        }
        Ok(Box::new(MssqlQuery {
            options: self.options.clone(),
            setup: request.setup.clone(),
            queries,
            parameters,
            fields: described.ok_or_else(|| Error::configuration("there is no query"))?,
            decodings,
            idle: Idle::new(session),
        }))
    }
}

/// The names and types of a query's columns: told by the server, or else seen on a result without rows.
fn prepare(
    session: &mut Session,
    query: &str,
    declarations: &str,
    parameters: &[RpcParameter],
    stop: &Stop,
) -> Result<Vec<(String, String)>> {
    if !dialect::is_select(query) {
        return Err(Error::configuration(
            "the query is no SELECT, or one INTO a table: SQL Server has no transactions that cannot write, so \
             read_sql takes nothing else, and has not run this statement",
        ));
    }
    let sql = dialect::describe(query, declarations);
    match session.described(&sql, stop) {
        Ok(columns) if !columns.is_empty() => return Ok(columns),
        Err(error @ Error::Query { .. }) if is_final(&error) => return Err(error),
        Err(error @ (Error::Connection { .. } | Error::Interrupted)) => return Err(error),
        _ => {}
    }
    log::debug!("the server does not describe the query; asking for a result without rows");
    let columns = session.columns(&dialect::no_rows(query), parameters, stop)?;
    if columns.is_empty() {
        return Err(Error::configuration(
            "the query returns no rows: read_sql takes a SELECT",
        ));
    }
    Ok(columns)
}

/// Whether another way to describe the query would fail as well: it has a syntax error, or names what is not there.
fn is_final(error: &Error) -> bool {
    matches!(error.code(), Some("102" | "156" | "207" | "208" | "229"))
}

fn with_types(
    columns: &[(String, String)],
    request: &Request,
) -> Result<(Vec<Field>, Vec<Decoding>)> {
    let column = |(index, (name, type_name)): (usize, &(String, String))| {
        let name = if name.is_empty() {
            format!("column_{index}")
        } else {
            name.clone()
        };
        let mut decoding = types::decoding(type_name);
        let mut field = Field::new(&name, type_name, decoding.column_type());
        if let Some(asked) = request.asked(&name) {
            decoding = decoding
                .overridden(asked)
                .ok_or_else(|| not_convertible(&name, type_name, asked))?;
            field.column_type = asked.clone();
        }
        Ok((field, decoding))
    };
    let columns: Vec<(Field, Decoding)> = columns
        .iter()
        .enumerate()
        .map(column)
        .collect::<Result<_>>()?;
    let (fields, decodings): (Vec<Field>, Vec<Decoding>) = columns.into_iter().unzip();
    request.reject_unknown(&fields)?;
    Ok((fields, decodings))
}

/// A request whose columns are known.
struct MssqlQuery {
    options: Options,
    setup: Vec<String>,
    queries: Vec<String>,
    parameters: Vec<RpcParameter>,
    fields: Vec<Field>,
    /// How the columns of each query are built.
    decodings: Vec<Vec<Decoding>>,
    /// Sessions between two uses; the one that described the query also reads.
    idle: Idle<Session>,
}

impl MssqlQuery {
    /// Uses an idle session, or a new one; after an error it is closed.
    fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let open = || Session::open(&self.options, &self.setup, stop);
        self.idle.with(open, work)
    }

    /// The query that is split.
    fn query(&self) -> &str {
        self.queries.first().map(String::as_str).unwrap_or_default()
    }
}

impl DescribedQuery for MssqlQuery {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn queries(&self) -> &[String] {
        &self.queries
    }

    fn share_snapshot(&self, _sessions: usize, _stop: &Stop) -> Result<()> {
        log::info!(
            "SQL Server's sessions share no snapshot: each partition sees the database as it is when it is read"
        );
        Ok(())
    }

    fn indivisible(&self, target: Target, _stop: &Stop) -> Result<Option<&'static str>> {
        let Target::Column(index) = target else {
            return Err(no_table(
                "SQL Server's rows have no place that could be split",
            ));
        };
        let unordered = [
            "text",
            "ntext",
            "image",
            "xml",
            "json",
            "vector",
            "geometry",
            "geography",
        ];
        let field = &self.fields[index];
        if unordered.contains(&field.database_type.as_str()) {
            return Err(Error::configuration(format!(
                "partition_on={:?} has the type {}, whose values cannot be put in order",
                field.name, field.database_type
            )));
        }
        let query = self.query();
        let has = |words: &[&str]| has_word(query, dialect::LEXICON, words);
        Ok(if has(&["TOP", "OFFSET", "FETCH"]) {
            Some("the query has a TOP or an OFFSET")
        } else if has(&["ROW_NUMBER", "RANK", "DENSE_RANK", "NTILE", "OVER"]) {
            Some("the query has a window function")
        } else if has(&["NEWID", "RAND", "CRYPT_GEN_RANDOM", "NEXT", "TABLESAMPLE"]) {
            Some("the query calls a volatile function")
        } else {
            None
        })
    }

    /// Keys of a share of all rows.
    fn sample(&self, target: Target, keys: usize, stop: &Stop) -> Result<Sample> {
        let Target::Column(index) = target else {
            return Err(no_table("no table was found"));
        };
        let field = &self.fields[index];
        let parameters = &self.parameters;
        self.with_session(stop, |session| {
            let counted = session.texts(&dialect::count(self.query()), parameters, stop)?;
            let rows = counted.into_iter().flatten().flatten().next();
            let rows: u64 = rows.and_then(|text| text.parse().ok()).unwrap_or_default();
            let every = (rows / keys.max(1) as u64).max(1);
            let sql = dialect::keys(self.query(), &field.name, &field.database_type, every);
            let found = session.texts(&sql, parameters, stop)?;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let weight = every as f64;
            let key = |row: Vec<Option<String>>| {
                let [key, count] = <[Option<String>; 2]>::try_from(row).ok()?;
                let value = key.map_or(Value::Null, Value::Text);
                Some((value, count?.parse::<f64>().ok()? * weight))
            };
            Ok(Sample {
                keys: found.into_iter().filter_map(key).collect(),
            })
        })
    }

    fn select(
        &self,
        target: Target,
        lower: Option<&Value>,
        upper: Option<&Value>,
    ) -> Result<String> {
        let Target::Column(index) = target else {
            return Err(no_table("no table was found"));
        };
        let field = &self.fields[index];
        let (name, key_type) = (&field.name, &field.database_type);
        Ok(dialect::range(self.query(), name, key_type, lower, upper))
    }

    fn read(&self, query: &str, stop: &Stop) -> Result<Chunk> {
        self.with_session(stop, |session| {
            // A partition's query is one of a list, or made of the only one.
            let number = self.queries.iter().position(|other| other == query);
            let decodings = &self.decodings[number.unwrap_or_default()];
            let rows = |_: &[_]| Rows::new(&self.fields, decodings);
            let (rows, height) = session.read(query, &self.parameters, rows, stop)?;
            Ok(rows.finish(height))
        })
    }
}
