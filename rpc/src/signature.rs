//! The parameters of methods, as data in the order of their positions.
//!
//! One table for three uses: binding parameters, refusing unknown ones, and the OpenRPC document.
//! What a value must be beyond its rough form is checked where requests are read.

use crate::methods::{Action, Verb};

/// A parameter of a method.
#[derive(Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it must be given.
    pub(crate) required: bool,
    /// What it takes.
    pub(crate) takes: Takes,
    /// What it is, for people.
    pub(crate) doc: &'static str,
}

/// What a parameter takes, as far as a description of it goes; `requests` has the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// An id.
    Id,
    /// All fields of one key. It shares the position of the id before it.
    Key,
    /// The data of a new object.
    Data,
    /// Fields to change.
    Changes,
    /// Several data of new objects.
    Items,
    /// A filter.
    Filter,
    /// Columns to sort by.
    Sort,
    /// A number of at least this, at most that if given, this if absent.
    Number {
        min: u64,
        max: Option<u64>,
        default: Option<u64>,
    },
    /// A text.
    Text,
    /// Names of refs and relations.
    Expand,
    /// Names of fields.
    Fields,
    /// Names of types.
    Types,
    /// Yes or no, this if absent.
    Flag(bool),
    /// One of these, the first if absent.
    Choice(&'static [&'static str]),
    /// A stretch of time.
    Bucket,
    /// Names of metrics.
    Metrics,
    /// Operations of a transaction.
    Ops,
    /// Lists of data by type.
    Objects,
}

impl Param {
    /// Whether it stands at the same position as the one before it.
    pub(crate) fn shares_position(&self) -> bool {
        self.takes == Takes::Key
    }
}

/// Fewest and most objects of one page.
pub(crate) const LIMIT: (u64, u64) = (1, 1000);
/// Most items of one ingest, and most operations of one transaction.
pub(crate) const ITEMS_MAX: usize = 10_000;

const fn optional(name: &'static str, takes: Takes, doc: &'static str) -> Param {
    Param {
        name,
        required: false,
        takes,
        doc,
    }
}

const fn required(name: &'static str, takes: Takes, doc: &'static str) -> Param {
    Param {
        name,
        required: true,
        takes,
        doc,
    }
}

const fn limit(default: u64) -> Param {
    let takes = Takes::Number {
        min: LIMIT.0,
        max: Some(LIMIT.1),
        default: Some(default),
    };
    optional("limit", takes, "How many at most.")
}

const ID: Param = optional("id", Takes::Id, "The object's id; this or `key`.");
const KEY: Param = optional("key", Takes::Key, "All fields of one key; this or `id`.");
const EXPAND: Param = optional(
    "expand",
    Takes::Expand,
    "Refs and relations to bring along.",
);
const FIELDS: Param = optional(
    "fields",
    Takes::Fields,
    "The fields to answer with, beside `id`.",
);
const FILTER: Param = optional("filter", Takes::Filter, "Which objects; all if absent.");
const CURSOR: Param = optional(
    "cursor",
    Takes::Text,
    "The `next_cursor` of the page before.",
);
const SORT: Param = optional(
    "sort",
    Takes::Sort,
    "In which order; `-` before a field: falling.",
);
const IF_REV: Param = optional(
    "if_rev",
    Takes::Number {
        min: 0,
        max: None,
        default: None,
    },
    "The revision that the object must have; 0 with `upsert`: it must not exist.",
);
const FIND_SORT: Param = optional(
    "sort",
    Takes::Sort,
    "In which order; by relevance if absent.",
);
const MODES: Takes = Takes::Choice(&["patch", "replace", "merge"]);
const SEED_MODES: Takes = Takes::Choice(&["insert", "update"]);
const ROWS_SORT: Param = optional(
    "sort",
    Takes::Sort,
    "Columns of the result; bucket and groups if absent.",
);

const NEW: &[Param] = &[required(
    "data",
    Takes::Data,
    "The fields of the new object.",
)];
const GET: &[Param] = &[ID, KEY, EXPAND, FIELDS];
const SET: &[Param] = &[
    ID,
    KEY,
    required("data", Takes::Changes, "The fields to change."),
    IF_REV,
    optional("mode", MODES, "How they change it."),
    optional(
        "upsert",
        Takes::Flag(false),
        "Whether to make the object where there is none.",
    ),
];
const DELETE: &[Param] = &[ID, KEY, IF_REV];
const LIST: &[Param] = &[
    FILTER,
    SORT,
    limit(50),
    CURSOR,
    EXPAND,
    FIELDS,
    optional(
        "count",
        Takes::Flag(false),
        "Whether to answer the total too.",
    ),
];
const FIND: &[Param] = &[
    required(
        "query",
        Takes::Text,
        "What to look for, in the search language.",
    ),
    FILTER,
    FIND_SORT,
    limit(20),
    CURSOR,
    EXPAND,
    FIELDS,
    optional(
        "highlight",
        Takes::Flag(false),
        "Whether to show, as HTML with `<mark>`, where a hit was met.",
    ),
    optional(
        "facets",
        Takes::Fields,
        "The fields whose values are counted over all matches.",
    ),
    optional(
        "typo",
        Takes::Flag(true),
        "Whether to correct words that occur nowhere.",
    ),
    optional(
        "prefix_last",
        Takes::Flag(false),
        "Whether the last word is a beginning of one.",
    ),
];
const COUNT: &[Param] = &[FILTER];
const AGGREGATE: &[Param] = &[
    FILTER,
    optional(
        "group_by",
        Takes::Fields,
        "The fields that tell groups apart.",
    ),
    optional(
        "bucket",
        Takes::Bucket,
        "The stretch of time that tells groups apart.",
    ),
    optional(
        "metrics",
        Takes::Metrics,
        "What to compute of each group; `count` if absent.",
    ),
    ROWS_SORT,
    limit(1000),
];
const INGEST: &[Param] = &[required(
    "items",
    Takes::Items,
    "The data of up to 10,000 objects.",
)];
const TRANSACTION: &[Param] = &[
    required(
        "ops",
        Takes::Ops,
        "1 to 10,000 calls of `_new`, `_set` and `_delete`.",
    ),
    optional(
        "dry_run",
        Takes::Flag(false),
        "Whether to check and answer, but keep nothing.",
    ),
];
const SEED: &[Param] = &[
    required(
        "objects",
        Takes::Objects,
        "Lists of data, by the name of their type.",
    ),
    optional(
        "mode",
        SEED_MODES,
        "What becomes of objects that are there.",
    ),
];
const CHANGES: &[Param] = &[
    required(
        "since",
        Takes::Number {
            min: 0,
            max: None,
            default: None,
        },
        "The `next` of the answer before; 0 is the beginning.",
    ),
    optional(
        "types",
        Takes::Types,
        "The types whose changes are wanted; all if absent.",
    ),
    limit(100),
    optional(
        "wait_ms",
        Takes::Number {
            min: 0,
            max: None,
            default: Some(0),
        },
        "For how long to wait for a change, in milliseconds.",
    ),
    optional(
        "objects",
        Takes::Flag(false),
        "Whether records hold the objects as they are now.",
    ),
];

impl Action {
    /// Its parameters, in the order of their positions.
    pub(crate) fn params(self) -> &'static [Param] {
        match self {
            Self::Of(_, verb) => match verb {
                Verb::New => NEW,
                Verb::Get => GET,
                Verb::Set => SET,
                Verb::Delete => DELETE,
                Verb::List => LIST,
                Verb::Find => FIND,
                Verb::Count => COUNT,
                Verb::Aggregate => AGGREGATE,
                Verb::Ingest => INGEST,
            },
            Self::Transaction => TRANSACTION,
            Self::Seed => SEED,
            Self::Changes => CHANGES,
            Self::Info | Self::Discover => &[],
        }
    }
}
