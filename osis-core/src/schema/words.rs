//! The words of the schema language, each once, for reading and for writing.

use super::model::{Format, Item, Merge, OnDelete, RollupUnit, Who};

/// The classes of types; true: a log.
pub(super) const CLASSES: [(&str, bool); 2] = [("object", false), ("log", true)];

/// What a list may hold.
pub(super) const ITEMS: [(&str, Item); 2] = [("string", Item::String), ("int", Item::Int)];

/// What may become of a referrer.
pub(super) const ON_DELETE: [(&str, OnDelete); 3] = [
    ("cascade", OnDelete::Cascade),
    ("restrict", OnDelete::Restrict),
    ("set_null", OnDelete::SetNull),
];

/// Known forms of strings.
pub(super) const FORMATS: [(&str, Format); 2] = [("email", Format::Email), ("url", Format::Url)];

/// The rules of a merge.
pub(super) const MERGES: [(&str, Merge); 5] = [
    ("add", Merge::Add),
    ("max", Merge::Max),
    ("min", Merge::Min),
    ("union", Merge::Union),
    ("keep", Merge::Keep),
];

/// Who may read.
pub(super) const READERS: [(&str, Who); 3] = [
    ("any", Who::Any),
    ("owner", Who::Owner),
    ("admin", Who::Admin),
];

/// Who may write.
pub(super) const WRITERS: [(&str, Who); 4] = [
    ("any", Who::Any),
    ("owner", Who::Owner),
    ("admin", Who::Admin),
    ("none", Who::None),
];

/// The units of a roll-up.
pub(super) const UNITS: [(&str, RollupUnit); 2] =
    [("hour", RollupUnit::Hour), ("day", RollupUnit::Day)];

/// The word for a meaning.
pub(super) fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> &'static str {
    // Invariant: each table has every variant of its type, which the canonical text's test holds.
    words
        .iter()
        .find(|(_, known)| known == meaning)
        .map_or("", |(word, _)| *word)
}
