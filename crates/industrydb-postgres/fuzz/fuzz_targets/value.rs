//! Fields of one column of any type, whatever is in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_postgres::fuzzing::value(bytes));
