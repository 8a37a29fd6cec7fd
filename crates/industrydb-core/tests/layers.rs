//! Tests that core's modules use only lower ones, and that its code names no database.

use industrydb_testkit::layers::{check, check_words};

#[test]
fn each_room_uses_only_lower_ones() {
    let layers: &[&[&str]] = &[
        &["base"],
        &["net"],
        &["schema"],
        &["data", "sql"],
        &["write"],
        &["read"],
        &["session"],
    ];
    check(env!("CARGO_MANIFEST_DIR"), layers, &[]).unwrap();
}

#[test]
fn core_names_no_database() {
    let words = [
        "postgres",
        "sqlite",
        "mssql",
        "sqlserver",
        "sql server",
        "mysql",
        "mariadb",
        "oracle",
        "top (",
        ":memory:",
        "ctid",
        "rowid",
    ];
    check_words(env!("CARGO_MANIFEST_DIR"), &words).unwrap();
}
