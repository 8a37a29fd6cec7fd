//! Fuzz target: reads the tables of a file of any bytes from their pages.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    industrydb_sqlite::fuzzing::file(bytes);
});
