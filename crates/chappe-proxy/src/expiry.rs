//! Dates of a configuration as Unix time.

use toml::value::{Datetime, Offset};

const DAY: i64 = 24 * 60 * 60;

/// Returns the Unix time, in seconds, of a date (its beginning in UTC) or of a date and time with an offset.
pub(crate) fn unix_time(date: &Datetime) -> Option<u64> {
    let day = date.date.as_ref()?;
    let days = days_from_civil(i64::from(day.year), i64::from(day.month), i64::from(day.day));
    let seconds = match (&date.time, &date.offset) {
        (None, _) => 0,
        (Some(time), Some(offset)) => {
            let minutes = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i64::from(*minutes),
            };
            let second = i64::from(time.second.unwrap_or_default());
            (i64::from(time.hour) * 60 + i64::from(time.minute) - minutes) * 60 + second
        }
        // The offset of the machine is not known here.
        (Some(_), None) => return None,
    };
    u64::try_from(days * DAY + seconds).ok()
}

/// Days since 1970-01-01 in the Gregorian calendar. The year begins in March, so that leap days come last; 400 years have
/// 146 097 days.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_what_other_calendars_say() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2000-03-01", Some(951_868_800)),
            ("2027-01-01", Some(1_798_761_600)),
            ("2027-01-01T01:00:00+01:00", Some(1_798_761_600)),
            ("2026-12-31T23:59:59Z", Some(1_798_761_599)),
            ("2027-01-01T00:00:00", None),
            ("12:00:00", None),
            ("1969-12-31", None),
        ] {
            assert_eq!(unix_time(&text.parse().expect("it is a date")), expected, "{text}");
        }
    }
}
