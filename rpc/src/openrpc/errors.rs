//! Which errors a method may answer with.

use crate::methods::{Action, Verb};

/// The kinds, as they stand in the document's components.
pub(super) fn of(action: Action) -> &'static [&'static str] {
    match action {
        Action::Of(_, verb) => match verb {
            Verb::New => &[
                "invalid",
                "reference",
                "conflict",
                "unavailable",
                "storage_full",
            ],
            Verb::Get => &["invalid", "not_found", "unavailable"],
            Verb::Set => &[
                "invalid",
                "not_found",
                "rev_mismatch",
                "reference",
                "conflict",
                "unavailable",
                "storage_full",
            ],
            Verb::Delete => &[
                "invalid",
                "not_found",
                "rev_mismatch",
                "reference",
                "unavailable",
                "storage_full",
            ],
            Verb::List | Verb::Find | Verb::Count | Verb::Aggregate => &["invalid", "unavailable"],
            Verb::Ingest => &["invalid", "conflict", "unavailable", "storage_full"],
        },
        Action::Transaction => of(Action::Of(0, Verb::Set)),
        Action::Seed => &[
            "invalid",
            "reference",
            "conflict",
            "unavailable",
            "storage_full",
        ],
        Action::Changes => &["invalid", "gone", "unavailable"],
        Action::Info => &["invalid", "unavailable"],
        Action::Discover => &["invalid"],
    }
}
