//! Measures drivers for SQL Server alone: each decodes all rows and stores nothing.
//!
//! ```text
//! tds-drivers mssql-tds|tiberius <port> <query>…
//! ```
//!
//! `mssql-tds` is the driver that industrydb uses, with the same push interface and the same packet
//! size; the additional time of industrydb is its own cost. tiberius is the alternative driver.
//! Runs one thread and one session per query, with a server on this machine that accepts any login
//! and no encryption.
//!
//! Prints `{"rows": …, "seconds": …}`.

use std::borrow::Cow;
use std::env;
use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use futures_util::TryStreamExt;
use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::ExecuteOptions;
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{EncryptionOptions, EncryptionSetting};
use mssql_tds::datatypes::column_values as sql;
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_json::SqlJson;
use mssql_tds::datatypes::sql_string::EncodingType;
use mssql_tds::datatypes::sql_vector::SqlVector;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio_util::compat::TokioAsyncWriteCompatExt;
use uuid::Uuid;

type AnyError = Box<dyn Error + Send + Sync>;

const PACKET_BYTES: u16 = 32_767;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [driver, port, queries @ ..] = arguments.as_slice() else {
        return Err("usage: tds-drivers mssql-tds|tiberius <port> <query>…".into());
    };
    let port: u16 = port.parse()?;

    let start = Instant::now();
    let rows = thread::scope(|scope| {
        let sessions: Vec<_> = queries
            .iter()
            .map(|query| scope.spawn(move || read(driver, port, query)))
            .collect();
        sessions
            .into_iter()
            .map(|session| session.join().map_err(|_| "a session panicked")?)
            .sum::<Result<u64, AnyError>>()
    })?;
    let seconds = start.elapsed().as_secs_f64();
    println!(r#"{{"rows": {rows}, "seconds": {seconds:.6}}}"#);
    Ok(())
}

fn read(driver: &str, port: u16, query: &str) -> Result<u64, AnyError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match driver {
        "mssql-tds" => runtime.block_on(pushed(port, query)),
        "tiberius" => runtime.block_on(streamed(port, query)),
        _ => Err(format!("there is no driver {driver:?}").into()),
    }
}

/// Reads a query with Microsoft's driver; returns the row count.
async fn pushed(port: u16, query: &str) -> Result<u64, AnyError> {
    let source = format!("tcp:127.0.0.1,{port}");
    let mut context = ClientContext::with_data_source(&source);
    context.packet_size = PACKET_BYTES;
    context.user_name.push_str("sa");
    context.encryption_options = EncryptionOptions {
        mode: EncryptionSetting::PreferOff,
        trust_server_certificate: true,
        host_name_in_cert: None,
        server_certificate: None,
    };
    let provider = TdsConnectionProvider::new();
    let mut client = provider.create_client(context, &source, None).await?;
    client
        .execute(query.to_owned(), ExecuteOptions::default())
        .await?;
    let mut rows = Rows(0);
    while client.next_row_into(&mut rows).await? {}
    client.close_query().await?;
    Ok(rows.0)
}

/// Reads a query with tiberius, whose packet size cannot be changed; returns the row count.
async fn streamed(port: u16, query: &str) -> Result<u64, AnyError> {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(port);
    config.encryption(EncryptionLevel::NotSupported);
    config.authentication(AuthMethod::sql_server("sa", "x"));
    let socket = TcpStream::connect(config.get_addr()).await?;
    socket.set_nodelay(true)?;
    let mut client = Client::connect(config, socket.compat_write()).await?;
    let mut stream = client.simple_query(query).await?.into_row_stream();
    let mut rows = 0;
    while let Some(row) = stream.try_next().await? {
        rows += 1;
        for value in row {
            black_box(value);
        }
    }
    Ok(rows)
}

/// Counts rows and discards their values.
struct Rows(u64);

macro_rules! forget {
    ($($name:ident($($value:ident: $type:ty),*))*) => {
        $(fn $name(&mut self, _column: usize, $($value: $type),*) {
            $(black_box(&$value);)*
        })*
    };
}

impl RowWriter for Rows {
    forget! {
        write_null()
        write_bool(value: bool)
        write_u8(value: u8)
        write_i16(value: i16)
        write_i32(value: i32)
        write_i64(value: i64)
        write_f32(value: f32)
        write_f64(value: f64)
        write_string(value: Cow<'_, [u8]>, encoding: EncodingType)
        write_bytes(value: Cow<'_, [u8]>)
        write_decimal(value: DecimalParts)
        write_numeric(value: DecimalParts)
        write_date(value: sql::SqlDate)
        write_time(value: sql::SqlTime)
        write_datetime(value: sql::SqlDateTime)
        write_smalldatetime(value: sql::SqlSmallDateTime)
        write_datetime2(value: sql::SqlDateTime2)
        write_datetimeoffset(value: sql::SqlDateTimeOffset)
        write_money(value: sql::SqlMoney)
        write_smallmoney(value: sql::SqlSmallMoney)
        write_uuid(value: Uuid)
        write_xml(value: sql::SqlXml)
        write_json(value: SqlJson)
        write_vector(value: SqlVector)
    }

    fn end_row(&mut self) {
        self.0 += 1;
    }
}
