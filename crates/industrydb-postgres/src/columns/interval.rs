//! Decodes `interval`: microseconds, days and months.

use industrydb_core::CellResult;
use industrydb_core::builders::Interval;

use super::fixed::bytes;

pub(super) fn interval(field: &[u8]) -> CellResult<Interval> {
    let (microseconds, rest) = field.split_at(field.len().min(8));
    let (days, months) = rest.split_at(rest.len().min(4));
    Ok(Interval {
        months: i32::from_be_bytes(bytes(months)?),
        days: i32::from_be_bytes(bytes(days)?),
        microseconds: i64::from_be_bytes(bytes(microseconds)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_parts_are_told_apart() {
        // SELECT interval_send('1 mon 2 days 00:00:00.000003')
        let wire = b"\0\0\0\0\0\0\0\x03\0\0\0\x02\0\0\0\x01";
        let parts = Interval {
            months: 1,
            days: 2,
            microseconds: 3,
        };
        assert_eq!(interval(wire).expect("an interval"), parts);
        interval(&wire[1..]).expect_err("too short");
    }
}
