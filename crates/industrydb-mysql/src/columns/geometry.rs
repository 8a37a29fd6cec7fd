//! Decodes geometries: the number of the reference system, then well-known binary (WKB).

use industrydb_core::builders::BinaryBuilder;
use industrydb_core::{CellError, CellResult};

/// Bit of the type in extended WKB that announces a reference system.
const HAS_SRID: u32 = 0x2000_0000;

/// Appends a geometry as WKB; as extended WKB, which PostGIS and its readers have, if its reference
/// system is not 0.
pub(super) fn push(bytes: &[u8], builder: &mut BinaryBuilder) -> CellResult {
    let malformed = || CellError::malformed("it is no geometry");
    let (srid, wkb) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
    if *srid == [0; 4] {
        builder.push(wkb);
        return Ok(());
    }
    // Servers store the low byte first.
    let [1, a, b, c, d, rest @ ..] = wkb else {
        return Err(malformed());
    };
    let kind = u32::from_le_bytes([*a, *b, *c, *d]) | HAS_SRID;
    let mut extended = Vec::with_capacity(bytes.len());
    extended.push(1);
    extended.extend_from_slice(&kind.to_le_bytes());
    extended.extend_from_slice(srid);
    extended.extend_from_slice(rest);
    builder.push(&extended);
    Ok(())
}
