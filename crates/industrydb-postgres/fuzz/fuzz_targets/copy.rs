//! Fuzzes the decoding of rows from messages with any content.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_postgres::fuzzing::copy(bytes));
