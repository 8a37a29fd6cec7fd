//! Tests of the wire protocol against a scripted server, which answers with the tokens of MS-TDS.
//!
//! python-tds 1.17.1, an independent client, reads the same values from the bytes of
//! `values::TYPES`, except json, vector and UTF-8, which it does not support.

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
