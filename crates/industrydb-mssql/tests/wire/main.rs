//! What SQL Server sends, byte by byte: a scripted server that answers with the tokens of MS-TDS.
//!
//! python-tds 1.17.1, an independent client, reads the same values from the bytes of
//! `values::TYPES`, but for json, vector and UTF-8, which it does not know.

#[path = "../tds/mod.rs"]
mod tds;

mod connection;
mod insert;
mod insert_values;
mod plan;
mod read;
mod script;
mod table;
mod values;
