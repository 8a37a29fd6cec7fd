//! Fuzzes the unpacking of a compressed stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_mysql::fuzzing::compression(bytes));
