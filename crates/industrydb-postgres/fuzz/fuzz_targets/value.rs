//! Fuzzes the decoding of a column of any type from fields with any content.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_postgres::fuzzing::value(bytes));
