//! A stream of messages of a binary COPY, whatever is in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_postgres::fuzzing::copy(bytes));
