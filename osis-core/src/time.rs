//! Instants in UTC with milliseconds, in years 0001 to 9999.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};

/// An instant in UTC, cut to milliseconds, in years 0001 to 9999.
///
/// Written as RFC 3339 with exactly three decimals and `Z`, so the order of the texts is the order
/// of the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// 0001-01-01T00:00:00.000Z
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// 9999-12-31T23:59:59.999Z
    pub const MAX: Self = Self(253_402_300_799_999);
    /// What a time must look like, in words.
    pub const FORM: &'static str =
        "an RFC 3339 time with an offset, such as 2026-11-21T07:00:00.000Z";

    /// The system clock's time.
    pub fn now() -> Self {
        Self(
            jiff::Timestamp::now()
                .as_millisecond()
                .clamp(Self::MIN.0, Self::MAX.0),
        )
    }

    /// From milliseconds since 1970; nothing outside years 0001 to 9999.
    pub fn from_millis(ms: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&ms)
            .then_some(Self(ms))
    }

    /// Milliseconds since 1970, negative before.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset and up to nine decimals; cuts to milliseconds.
    ///
    /// No offset, second 60 and years outside 0001 to 9999 are no times.
    /// Source: RFC 3339 §5.6, which allows `T` and `Z` in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        let number = |from: usize, len: usize| -> Option<i64> {
            let digits = b.get(from..from + len)?;
            digits.iter().try_fold(0i64, |n, d| {
                d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0'))
            })
        };
        let sign = |at: usize, wanted: &[u8]| b.get(at).is_some_and(|c| wanted.contains(c));
        let separators = [
            (4, &b"-"[..]),
            (7, b"-"),
            (10, b"Tt"),
            (13, b":"),
            (16, b":"),
        ];
        if !separators.iter().all(|(at, wanted)| sign(*at, wanted)) {
            return None;
        }
        let date = jiff::civil::date(i16::try_from(number(0, 4)?).ok()?, 1, 1);
        let date = date
            .with()
            .month(i8::try_from(number(5, 2)?).ok()?)
            .day(i8::try_from(number(8, 2)?).ok()?)
            .build()
            .ok()?;
        let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut at = 19;
        let mut millis = 0;
        if sign(at, b".") {
            let digits = b[at + 1..]
                .iter()
                .take_while(|c| c.is_ascii_digit())
                .count();
            if !(1..=9).contains(&digits) {
                return None;
            }
            millis = number(at + 1, digits.min(3))? * [100, 10, 1][digits.min(3) - 1];
            at += 1 + digits;
        }
        let offset_minutes = match b.get(at)? {
            b'Z' | b'z' if b.len() == at + 1 => 0,
            sign_byte @ (b'+' | b'-') if b.len() == at + 6 && sign(at + 3, b":") => {
                let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let total = hours * 60 + minutes;
                if *sign_byte == b'+' { total } else { -total }
            }
            _ => return None,
        };
        let days = days_since_1970(date);
        let minutes = (days * 24 + hour) * 60 + minute - offset_minutes;
        Self::from_millis((minutes * 60 + second) * 1000 + millis)
    }

    /// The date and time of day in UTC. (A `jiff::Timestamp` ends before year 9999 does.)
    pub fn to_civil(self) -> DateTime {
        let days = self.0.div_euclid(DAY_MS);
        let day = EPOCH.checked_add(days.days()).unwrap_or(EPOCH);
        let midnight = day.at(0, 0, 0, 0);
        midnight
            .checked_add(self.0.rem_euclid(DAY_MS).milliseconds())
            .unwrap_or(midnight)
    }

    /// The time of a date and time of day in UTC, cut to milliseconds.
    pub fn from_civil(at: DateTime) -> Option<Self> {
        let (hour, minute) = (i64::from(at.hour()), i64::from(at.minute()));
        let seconds = (hour * 60 + minute) * 60 + i64::from(at.second());
        let millis = seconds * 1000 + i64::from(at.millisecond());
        Self::from_millis(days_since_1970(at.date()) * DAY_MS + millis)
    }
}

const DAY_MS: i64 = 24 * 3600 * 1000;
const EPOCH: Date = jiff::civil::date(1970, 1, 1);

fn days_since_1970(date: Date) -> i64 {
    i64::from((date - EPOCH).get_days())
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.to_civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

/// As milliseconds since 1970, for the private files of engines; the wire has the text.
impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

/// From milliseconds since 1970 within years 0001 to 9999.
impl<'de> serde::Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ms = i64::deserialize(deserializer)?;
        Self::from_millis(ms).ok_or_else(|| serde::de::Error::custom("no time of years 1 to 9999"))
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn reads_offsets_and_cuts_to_milliseconds() {
        for (given, kept) in [
            ("2026-11-21T07:00:00Z", Some("2026-11-21T07:00:00.000Z")),
            (
                "2026-11-21t09:30:00.1239999+02:30",
                Some("2026-11-21T07:00:00.123Z"),
            ),
            (
                "2024-02-29T23:59:59.9-00:01",
                Some("2024-03-01T00:00:59.900Z"),
            ),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00.000Z")),
            (
                "9999-12-31T23:59:59.999999999Z",
                Some("9999-12-31T23:59:59.999Z"),
            ),
            ("1969-12-31T23:59:59.999Z", Some("1969-12-31T23:59:59.999Z")),
            ("0001-01-01T00:00:00+00:01", None),
            ("9999-12-31T23:59:59-00:01", None),
            ("0000-06-01T00:00:00Z", None),
            ("2026-11-21T07:00:60Z", None),
            ("2026-11-21T24:00:00Z", None),
            ("2026-02-30T07:00:00Z", None),
            ("2026-11-21T07:00:00", None),
            ("2026-11-21 07:00:00Z", None),
            ("2026-11-21T07:00:00.Z", None),
            ("2026-11-21T07:00:00.0123456789Z", None),
            ("2026-11-21T07:00:00+2:00", None),
            ("2026-11-21T07:00:00+24:00", None),
            ("", None),
            ("２０２６-11-21T07:00:00Z", None),
        ] {
            assert_eq!(
                Time::parse(given).map(|t| t.to_string()).as_deref(),
                kept,
                "{given}"
            );
        }
    }
}
