//! A column as the server describes it.

/// A column of a result, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DescribedColumn {
    /// Database of the table that the column comes from; empty for an expression.
    pub(crate) schema: String,
    /// Table that the column comes from; empty for an expression.
    pub(crate) table: String,
    /// Name in the result.
    pub(crate) name: String,
    /// Name in the table.
    pub(crate) source: String,
    /// Name of a type of MariaDB's own, such as `uuid`, or a text's format, such as `json`.
    pub(crate) extended: String,
    /// Number of the character set; [`BINARY`] for bytes.
    pub(crate) charset: u16,
    /// Largest length of a value, as a text in bytes.
    pub(crate) length: u32,
    /// Number of the type: [`kind`].
    pub(crate) kind: u8,
    /// Bits of [`flags`].
    pub(crate) flags: u16,
    /// Number of digits after the point, or of a second.
    pub(crate) decimals: u8,
}

impl DescribedColumn {
    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Returns whether the column is one of a table or view of a database, and not of a part of the
    /// query.
    pub(crate) fn is_of_database(&self) -> bool {
        self.is_stored() && !self.schema.is_empty()
    }

    /// Returns the number of digits behind the point to which the server rounds the floats of a
    /// table's column when it stores them, as of `double(10,2)`; `None` if it does not.
    pub(crate) fn rounded_digits(&self) -> Option<u8> {
        let is_rounded = self.decimals < NOT_FIXED && self.is_of_database();
        is_rounded.then_some(self.decimals)
    }

    /// Returns whether the column may be one of NULLs without a type, which are bytes without a length
    /// in a temporary table.
    pub(crate) fn may_have_no_type(&self) -> bool {
        let is_text = matches!(self.kind, kind::VAR_STRING | kind::STRING);
        let is_empty = is_text && self.charset == BINARY && self.length == 0;
        self.kind == kind::NULL || is_empty && !self.is_of_database()
    }

    /// Returns whether the column is one of a table, and no expression.
    pub(crate) fn is_stored(&self) -> bool {
        !self.table.is_empty() && !self.source.is_empty()
    }
}

/// Number of digits behind the point of floats that are not rounded.
const NOT_FIXED: u8 = 31;

/// Number of the character set of bytes.
pub(crate) const BINARY: u16 = 63;

/// Numbers of types.
pub(crate) mod kind {
    pub(crate) const DECIMAL: u8 = 0;
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const NULL: u8 = 6;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const MEDIUM_BLOB: u8 = 250;
    pub(crate) const LONG_BLOB: u8 = 251;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// Bits of a column's flags.
pub(crate) mod flags {
    pub(crate) const UNSIGNED: u16 = 32;
    pub(crate) const ENUM: u16 = 256;
    pub(crate) const AUTO_INCREMENT: u16 = 512;
    pub(crate) const SET: u16 = 2048;
}
