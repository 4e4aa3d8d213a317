//! How files of days are named.

use std::path::{Path, PathBuf};

use osis_core::object::Id;
use osis_core::time::Time;

use crate::keeper::names::{compact, nth};

/// How many digits a seq has in a name.
const SEQ_DIGITS: usize = 12;
/// What the name of a file contains that is being removed, before something that tells it apart.
const ASIDE: &str = "-old-";
/// A day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day {
    pub(super) year: i16,
    pub(super) month: i8,
    pub(super) day: i8,
}

impl Day {
    /// The day of an instant.
    pub(super) fn of(time: Time) -> Self {
        let civil = time.to_civil();
        Self {
            year: civil.year(),
            month: civil.month(),
            day: civil.day(),
        }
    }
}

/// The days in which an event of this id may be: its own time is within a day of the event's.
/// Nothing where that says nothing: a UUIDv7 knows no time before 1970, and what was imported may
/// have any id.
pub(super) fn near(id: &Id) -> Option<Vec<Day>> {
    let time = id.uuid_v7_time()?.as_millis();
    if time <= DAY_MS {
        return None;
    }
    let around = [-DAY_MS, 0, DAY_MS].map(|by| Time::from_millis(time + by));
    Some(around.into_iter().flatten().map(Day::of).collect())
}

/// A number of so many digits.
pub(super) fn number(digits: &str, length: usize) -> Option<i16> {
    (digits.len() == length && is_digits(digits)).then(|| digits.parse().ok())?
}

/// What the name of a file of a day says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    /// The day of the month.
    pub(super) day: i8,
    /// The commits whose events the store has put in it; nothing where a person has named it.
    pub(super) range: Option<(u64, u64)>,
}

impl Name {
    /// Reads a name; nothing if it is none of a day's file.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".otoml")?;
        if stem.contains('.') {
            return None;
        }
        let day = stem.get(..2)?;
        let day: i8 = is_digits(day).then(|| day.parse().ok()).flatten()?;
        if !(1..=31).contains(&day) {
            return None;
        }
        let range = match &stem[2..] {
            "" => None,
            rest => range(rest.strip_prefix('-')?),
        };
        Some(Self { day, range })
    }
}

fn range(text: &str) -> Option<(u64, u64)> {
    let text = text.split_once(ASIDE).map_or(text, |(before, _)| before);
    let (first, last) = text.split_once('-')?;
    let seq = |digits: &str| -> Option<u64> {
        let is_seq = digits.len() >= SEQ_DIGITS && is_digits(digits);
        is_seq.then(|| digits.parse().ok()).flatten()
    };
    Some((seq(first)?, seq(last)?))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of the file that has the events of a range of commits on a day.
pub(super) fn of(day: &Day, first: u64, last: u64) -> String {
    format!(
        "{:02}-{first:0SEQ_DIGITS$}-{last:0SEQ_DIGITS$}.otoml",
        day.day
    )
}

/// A name for a file that is about to be removed, under which it is still read.
pub(super) fn aside(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.split_once(ASIDE).map_or(&*stem, |(before, _)| before);
    path.with_file_name(format!("{stem}{ASIDE}{}.otoml", Id::generate(Time::now())))
}

/// The name of the `n`th file that has what was left under the name of one that was swapped; it is
/// read as any other.
pub(crate) fn conflict(left: &Path, at: Time, n: u32) -> Option<PathBuf> {
    let name = left.file_name()?.to_str()?;
    let day = name.strip_prefix('.')?.get(..2)?;
    let time = compact(at);
    let name = format!("{day}-conflict-{time}{}.otoml", nth(n));
    Name::parse(&name).map(|_| left.with_file_name(name))
}

/// The name of the file that one with this name was, before it was put aside.
pub(super) fn before_aside(name: &str) -> Option<String> {
    let (before, _) = name.split_once(ASIDE)?;
    Name::parse(name).map(|_| format!("{before}.otoml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written() {
        let day = Day::of(Time::parse("2026-11-21T23:59:59.999Z").unwrap());
        let name = of(&day, 7, 1_000_000_000_000);
        assert_eq!(name, "21-000000000007-1000000000000.otoml");
        let aside = aside(Path::new(&name));
        for name in [name.as_str(), aside.to_str().unwrap()] {
            let range = Some((7, 1_000_000_000_000));
            assert_eq!(Name::parse(name), Some(Name { day: 21, range }), "{name}");
        }
        assert_eq!(before_aside(aside.to_str().unwrap()), Some(name.clone()));
        assert_eq!(before_aside(&name), None);
        let left = format!(".{name}.x.tmp");
        let at = Time::parse("2026-11-22T07:00:05.123Z").unwrap();
        let kept = [1, 2].map(|n| conflict(Path::new(&left), at, n).unwrap());
        let expected = [
            "21-conflict-20261122T070005Z.otoml",
            "21-conflict-20261122T070005Z-2.otoml",
        ];
        assert_eq!(kept, expected.map(PathBuf::from));
        for name in [
            "21.otoml",
            "21-import.otoml",
            "21-000000000007-x.otoml",
            "21-7-8.otoml",
        ] {
            let range = None;
            assert_eq!(Name::parse(name), Some(Name { day: 21, range }), "{name}");
        }
        for name in [
            "1.otoml",
            "00.otoml",
            "32.otoml",
            "211.otoml",
            "21.otoml~",
            "21.old.otoml",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }

    #[test]
    fn an_id_is_looked_for_on_three_days() {
        let id = Id::generate(Time::parse("2026-12-01T07:00:00Z").unwrap());
        let days = near(&id).unwrap();
        let days: Vec<(i8, i8)> = days.iter().map(|day| (day.month, day.day)).collect();
        assert_eq!(days, [(11, 30), (12, 1), (12, 2)]);
        assert_eq!(near(&Id::trusted("abcd")), None);
        assert_eq!(near(&Id::generate(Time::MIN)), None);
    }
}
