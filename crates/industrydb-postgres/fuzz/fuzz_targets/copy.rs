//! The messages of a result's rows, whatever is in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_postgres::fuzzing::copy(bytes));
