//! A file of any bytes, whose tables are read from their pages.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    industrydb_sqlite::fuzzing::file(bytes);
});
