//! Binds values to the parameters of a statement.

use std::ffi::c_int;

use industrydb_core::suggest::did_you_mean;
use industrydb_core::{Error, Parameters, Result, Value};
use rusqlite::ffi;

use super::cursor::Cursor;
use super::length;
use super::row::{Cell, text};

/// `ffi::SQLITE_UTF8`, in the type that the functions take.
const UTF8: u8 = 1;

impl Cursor<'_> {
    /// Binds values to all parameters.
    pub(crate) fn bind(&mut self, parameters: &Parameters) -> Result<()> {
        // SAFETY: as in `step`.
        let count = unsafe { ffi::sqlite3_bind_parameter_count(self.statement) };
        match parameters {
            Parameters::Positional(values) if length(count) == values.len() => {
                for (number, value) in (1..).zip(values) {
                    self.bind_one(number, value)?;
                }
                Ok(())
            }
            Parameters::Positional(values) => Err(Error::configuration(format!(
                "the query has {count} parameter(s), and params has {} value(s)",
                values.len()
            ))),
            Parameters::Named(values) => {
                for number in 1..=count {
                    // SAFETY: as in `step`; the name is copied at once.
                    let name =
                        unsafe { text(ffi::sqlite3_bind_parameter_name(self.statement, number)) };
                    let name = name.as_deref().map(|name| &name[1..]); // without its : @ or $
                    let name = name.ok_or_else(|| {
                        Error::configuration(
                            "the query has parameters without a name (?): pass their values as a list",
                        )
                    })?;
                    let value = values.iter().find(|(other, _)| other == name);
                    let (_, value) = value.ok_or_else(|| {
                        let names: Vec<&str> =
                            values.iter().map(|(name, _)| name.as_str()).collect();
                        Error::configuration(format!(
                            "params has no value for {name:?}{}; it has {names:?}",
                            did_you_mean(name, &names)
                        ))
                    })?;
                    self.bind_one(number, value)?;
                }
                Ok(())
            }
        }
    }

    fn bind_one(&mut self, number: c_int, value: &Value) -> Result<()> {
        let refused = |what: &str| {
            Err(Error::configuration(format!(
                "parameter {number} cannot be passed to SQLite, which has no {what}"
            )))
        };
        let cell = match value {
            Value::Null => Cell::Null,
            Value::Boolean(value) => Cell::Integer((*value).into()),
            Value::Integer(value) => Cell::Integer(*value),
            Value::Float(value) if value.is_nan() => {
                return refused("NaN: to it, this would be NULL");
            }
            Value::Float(value) => Cell::Real(*value),
            Value::Text(text) | Value::Temporal(text) => Cell::Text(text.as_bytes()),
            Value::Bytes(bytes) => Cell::Blob(bytes),
            Value::Decimal(_) => {
                return refused("decimals or integers beyond 64 bits: pass a float or a str");
            }
            Value::Duration { .. } => {
                return refused("lengths of time: pass a number of seconds, for example");
            }
            Value::List(_) => return refused("arrays: pass one parameter per element"),
        };
        // SAFETY: SQLite copies texts and bytes.
        unsafe { self.bind_cell(number, cell, ffi::SQLITE_TRANSIENT()) }
    }

    /// Runs the statement with these values for its parameters, which are not copied. An error
    /// names the row by its number `row`.
    pub(crate) fn run<'v>(
        &mut self,
        values: impl Iterator<Item = Result<Cell<'v>>>,
        row: usize,
    ) -> Result<()> {
        let result = self.bind_and_step(values, row);
        // SAFETY: as in `step`. The values may end now, since no parameter keeps the address of
        // one.
        unsafe {
            ffi::sqlite3_reset(self.statement);
            ffi::sqlite3_clear_bindings(self.statement);
        }
        result
    }

    fn bind_and_step<'v>(
        &mut self,
        values: impl Iterator<Item = Result<Cell<'v>>>,
        row: usize,
    ) -> Result<()> {
        for (number, value) in (1..).zip(values) {
            // SAFETY: `run` clears the bindings while the values live.
            unsafe { self.bind_cell(number, value?, ffi::SQLITE_STATIC())? };
        }
        let stepped = self.step();
        stepped.map_err(|error| error.context(&format!("row {row}")))?;
        Ok(())
    }

    /// Binds a value to a parameter, by its number from 1.
    ///
    /// # Safety
    ///
    /// Unless `keep` makes SQLite copy them, the bytes of a text or blob must stay where they are
    /// until the parameter is bound again or cleared.
    #[inline]
    unsafe fn bind_cell(
        &mut self,
        number: c_int,
        value: Cell,
        keep: ffi::sqlite3_destructor_type,
    ) -> Result<()> {
        // SAFETY: as in `step`; pointers and lengths are those of slices.
        let code = unsafe {
            match value {
                Cell::Null => ffi::sqlite3_bind_null(self.statement, number),
                Cell::Integer(value) => ffi::sqlite3_bind_int64(self.statement, number, value),
                Cell::Real(value) => ffi::sqlite3_bind_double(self.statement, number, value),
                Cell::Text(text) => ffi::sqlite3_bind_text64(
                    self.statement,
                    number,
                    text.as_ptr().cast(),
                    text.len() as u64,
                    keep,
                    UTF8,
                ),
                Cell::Blob(bytes) => ffi::sqlite3_bind_blob64(
                    self.statement,
                    number,
                    bytes.as_ptr().cast(),
                    bytes.len() as u64,
                    keep,
                ),
            }
        };
        if code == ffi::SQLITE_OK {
            Ok(())
        } else {
            Err(self.error(code))
        }
    }
}
