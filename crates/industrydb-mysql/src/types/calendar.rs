//! Days and lengths of months.

/// Returns the days since 1970-01-01 of a date; `None` if no calendar has it, such as 0000-00-00 or
/// 2024-02-31.
///
/// The years are counted from March, so that the leap day is the last one.
#[inline]
pub(crate) fn days(year: u16, month: u8, day: u8) -> Option<i32> {
    const LENGTHS: [u8; 13] = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let longest = *LENGTHS.get(usize::from(month))?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if day == 0 || day > longest || (month == 2 && day == 29 && !is_leap) {
        return None;
    }
    let year = i32::from(year) - i32::from(month <= 2);
    let month = (i32::from(month) + 9) % 12; // from March
    let century = year.div_euclid(100);
    let days_of_years = 365 * year + year.div_euclid(4) - century + century.div_euclid(4);
    Some(days_of_years + (153 * month + 2) / 5 + i32::from(day) - 1 - DAYS_TO_1970)
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;
    use industrydb_core::iso;

    #[test]
    fn days_are_those_of_iso_8601() {
        for year in [0, 1, 4, 100, 1600, 1900, 1969, 1970, 2000, 2023, 2024, 9999] {
            for month in 0..=13 {
                for day in 0..=32 {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    assert_eq!(days(year, month, day), iso::date(text.as_bytes()), "{text}");
                }
            }
        }
    }
}
