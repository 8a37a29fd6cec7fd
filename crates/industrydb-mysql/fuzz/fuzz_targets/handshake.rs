//! Fuzzes the login, and the parsing of other packets, with any content.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| industrydb_mysql::fuzzing::handshake(bytes));
