//! Parses the server's packets, except the rows of a partition.
//!
//! Formats: <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html> and
//! <https://mariadb.com/kb/en/clientserver-protocol/>

use industrydb_core::{Error, Result};

use crate::types::DescribedColumn;
use crate::wire::bytes::Bytes;
use crate::wire::errors::unexpected;

/// First byte of a packet that ends a statement without rows.
pub(crate) const OK: u8 = 0x00;
/// First byte of an error.
pub(crate) const ERROR: u8 = 0xff;
/// First byte of the packet that ends rows or descriptions.
pub(crate) const END: u8 = 0xfe;
/// First byte of a request for a file of the client.
pub(crate) const LOCAL_INFILE: u8 = 0xfb;

/// Bits of the status that comes with the end of a statement.
pub(crate) mod status {
    pub(crate) const IN_TRANSACTION: u16 = 0x0001;
    pub(crate) const AUTOCOMMIT: u16 = 0x0002;
    pub(crate) const MORE_RESULTS: u16 = 0x0008;
}

/// Number of changed rows, warnings, and status at the end of a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) changed: u64,
    pub(crate) warnings: u16,
    pub(crate) status: u16,
}

/// Returns whether a packet in the place of a row ends the rows.
#[inline]
pub(crate) fn is_end(body: &[u8]) -> bool {
    // A row of text whose first value has 16 MiB or more also begins with this byte, and is longer.
    body.first() == Some(&END) && body.len() < 0xff_ffff
}

/// Parses the end of a statement: an OK packet, or the older EOF packet.
pub(crate) fn ended(body: &[u8]) -> Result<Ended> {
    let parsed = || {
        let mut bytes = Bytes(body);
        if bytes.u8()? == END && body.len() < 7 {
            let warnings = bytes.u16()?;
            let status = bytes.u16()?;
            return Some(Ended {
                changed: 0,
                warnings,
                status,
            });
        }
        let changed = bytes.integer()?;
        bytes.integer()?; // the last generated key
        let status = bytes.u16()?;
        let warnings = bytes.u16()?;
        Some(Ended {
            changed,
            warnings,
            status,
        })
    };
    parsed().ok_or_else(|| unexpected("the end of a statement"))
}

/// Answer to the preparation of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreparedHeader {
    pub(crate) id: u32,
    pub(crate) columns: usize,
    pub(crate) parameters: usize,
}

/// Least number of bytes of the answer to the preparation of a statement.
const PREPARED_BYTES: usize = 10;

/// Parses the answer to the preparation of a statement that the server does not prepare and ends
/// without an error; `None` if it prepares it.
pub(crate) fn not_prepared(body: &[u8]) -> Result<Option<Ended>> {
    let is_ended = body.first() == Some(&OK) && body.len() < PREPARED_BYTES;
    is_ended.then(|| ended(body)).transpose()
}

pub(crate) fn prepared(body: &[u8]) -> Result<PreparedHeader> {
    let parsed = || {
        let mut bytes = Bytes(body);
        if bytes.u8()? != OK {
            return None;
        }
        Some(PreparedHeader {
            id: bytes.u32()?,
            columns: usize::from(bytes.u16()?),
            parameters: usize::from(bytes.u16()?),
        })
    };
    parsed().ok_or_else(|| unexpected("a prepared statement"))
}

/// Parses the description of a column; `is_extended` if the server adds the name of its own types.
pub(crate) fn column(body: &[u8], is_extended: bool) -> Result<DescribedColumn> {
    let parsed = || {
        let mut bytes = Bytes(body);
        let text = |bytes: &mut Bytes| {
            let text = String::from_utf8_lossy(bytes.text()?);
            Some(text.into_owned())
        };
        bytes.text()?; // the catalog, always `def`
        let schema = text(&mut bytes)?;
        bytes.text()?; // the table's alias
        let table = text(&mut bytes)?;
        let name = text(&mut bytes)?;
        let source = text(&mut bytes)?;
        let extended = if is_extended {
            type_names(bytes.text()?)
        } else {
            String::new()
        };
        let mut fixed = Bytes(bytes.text()?);
        Some(DescribedColumn {
            schema,
            table,
            name,
            source,
            extended,
            charset: fixed.u16()?,
            length: fixed.u32()?,
            kind: fixed.u8()?,
            flags: fixed.u16()?,
            decimals: fixed.u8()?,
        })
    };
    parsed().ok_or_else(|| unexpected("the description of a column"))
}

/// Returns the name of MariaDB's own type, or the format of a text such as `json`; empty if there is
/// none.
fn type_names(bytes: &[u8]) -> String {
    let mut bytes = Bytes(bytes);
    let mut name = String::new();
    while let (Some(_), Some(value)) = (bytes.u8(), bytes.text()) {
        name = String::from_utf8_lossy(value).into_owned();
    }
    name
}

/// Returns the error for a request for a file that nobody has announced: a server can ask for any.
pub(crate) fn reject_file_request(body: &[u8]) -> Error {
    let name = String::from_utf8_lossy(body.get(1..).unwrap_or_default());
    Error::configuration(format!(
        "the server asks for the file {name:?} of this machine, and got nothing: LOAD DATA LOCAL is not for \
         statements of your own; insert and write_sql load data"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_an_old_or_a_new_packet() {
        // SELECT 1 of MariaDB 10.11, without and with CLIENT_DEPRECATE_EOF.
        for body in [
            &b"\xfe\x00\x00\x02\x00"[..],
            b"\xfe\x00\x00\x02\x00\x00\x00",
        ] {
            let end = ended(body).expect("an end");
            assert_eq!((end.status, end.warnings, end.changed), (2, 0, 0));
            assert!(is_end(body));
        }
        assert!(ended(b"\xfe\x00").is_err());
        // HELP 'select' of MariaDB 10.11, which is to be prepared; and SELECT 1.
        let help = not_prepared(b"\0\0\0\x02\0\0\0").expect("an answer");
        assert_eq!(help.expect("an end").status, 2);
        let select = b"\0\x04\0\0\0\x01\0\0\0\0\0\0";
        assert_eq!(not_prepared(select).expect("an answer"), None);
        assert!(!is_end(b"\x00\x00"));
    }
}
