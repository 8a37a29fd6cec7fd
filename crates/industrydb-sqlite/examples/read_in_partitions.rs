//! Without Python: make a table, and read a query over it in parallel partitions.
//!
//! ```text
//! cargo run --package industrydb-sqlite --example read_in_partitions
//! ```

use std::sync::OnceLock;

use industrydb_core::{
    Database, DatabaseConfig, DatabaseConnector, Parameters, Request, Result, Split, Stop, Value,
    executor,
};
use industrydb_sqlite::SqliteConnector;

const ROWS: i64 = 10_000;

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("industrydb-{}.db", std::process::id()));
    let config = DatabaseConfig {
        database: Some(path.display().to_string()),
        ..DatabaseConfig::new(&SqliteConnector::SCHEME)
    };
    let connector = SqliteConnector::new(&config)?;
    let stop = Stop::default();

    let mut connection = connector.connect(&stop)?;
    let none = Parameters::default();
    connection.execute(
        "CREATE TABLE square (n INTEGER PRIMARY KEY, nn INTEGER)",
        &none,
        &stop,
    )?;
    let rows = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?) \
                INSERT INTO square SELECT n, n * n FROM i";
    let parameters = Parameters::Positional(vec![Value::Integer(ROWS)]);
    connection.execute(rows, &parameters, &stop)?;

    let request = Request {
        queries: vec!["SELECT n, nn FROM square".to_owned()],
        parameters: none,
        setup: Vec::new(),
        snapshot: true,
        held: None,
        overrides: Vec::new(),
        settled: Vec::new(),
        narrowing: None,
    };
    let split = Split {
        column: Some("n".to_owned()),
        partitions: 4,
        cuts: None,
    };
    let frame = executor::read(
        &connector,
        &request,
        Some(&split),
        executor::MAX_SESSIONS,
        &OnceLock::new(),
        &stop,
    );
    drop(connection);
    let _ = std::fs::remove_file(&path); // what is left of it does no harm
    let frame = frame?;
    println!("{} rows of {} columns", frame.height(), frame.width());
    assert_eq!(frame.height(), 10_000);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example works");
}
