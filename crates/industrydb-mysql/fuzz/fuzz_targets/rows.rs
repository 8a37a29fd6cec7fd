//! Fuzzes the decoding of rows from packets with any content.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_mysql::fuzzing::rows(bytes));
