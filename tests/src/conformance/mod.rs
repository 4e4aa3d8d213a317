//! The contract, sentence by sentence, as calls and answers; a file for each part of it.
//!
//! Each case is a plain function on a fresh store. An area lists its cases with `cases!`, which
//! is also what makes them run: a case that is not listed is dead code, and that does not compile.
//! `conformance!` makes a test of every case of every area.

#![deny(dead_code, reason = "a case that nobody lists would never run")]

use std::pin::Pin;

use crate::api::Api;
use crate::settings::Setting;

/// A case: a future that ends well or panics.
pub(crate) type Case = for<'a> fn(&'a dyn Api) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Lists the cases of an area, and makes a macro that makes tests of them.
macro_rules! cases {
    ($each:ident: $($name:ident),+ $(,)?) => {
        pub(super) const CASES: &[(&str, $crate::conformance::Case)] =
            &[$((stringify!($name), |api| Box::pin($name(api)))),+];
        cases!(@tests ($) $each $($name)+);
    };
    (@tests ($d:tt) $each:ident $($name:ident)+) => {
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $each {
            ($d setting:path) => {$(
                #[test]
                fn $name() {
                    $crate::conformance::run(module_path!(), stringify!($name), $d setting);
                }
            )+};
        }
    };
}

/// Lists the areas, and makes the macro that makes tests of all of them.
macro_rules! areas {
    ($($area:ident $each:ident),+ $(,)?) => {
        const AREAS: &[(&str, &[(&str, Case)])] = &[$((stringify!($area), $area::CASES)),+];

        areas!(@tests ($) $($area $each)+);
    };
    (@tests ($d:tt) $($area:ident $each:ident)+) => {
        /// Makes a test of every case of the suite, in a module for each area, against a setting.
        #[macro_export]
        macro_rules! conformance {
            ($d setting:path) => {$(
                mod $area {
                    osis_tests::$each!($d setting);
                }
            )+};
        }
    };
}

mod aggregates;
mod changes;
mod errors;
mod expand;
mod filters;
mod keys;
mod lists;
mod logs;
mod merge;
mod objects;
mod paging;
mod references;
mod rollups;
mod schema_types;
mod search;
mod search_extras;
mod search_language;
mod search_order;
mod search_words;
mod seeds;
mod set_modes;
mod transactions;
mod values;

areas! {
    aggregates each_aggregates,
    changes each_changes,
    errors each_errors,
    expand each_expand,
    filters each_filters,
    keys each_keys,
    lists each_lists,
    logs each_logs,
    merge each_merge,
    objects each_objects,
    paging each_paging,
    references each_references,
    rollups each_rollups,
    schema_types each_schema_types,
    search each_search,
    search_extras each_search_extras,
    search_language each_search_language,
    search_order each_search_order,
    search_words each_search_words,
    seeds each_seeds,
    set_modes each_set_modes,
    transactions each_transactions,
    values each_values,
}

/// Runs one case against a fresh store; the area is the last part of a module's path.
pub fn run(module: &str, name: &str, setting: Setting) {
    let area = module.rsplit("::").next().unwrap_or_default();
    let cases = AREAS
        .iter()
        .find(|(known, _)| *known == area)
        .map(|(_, cases)| *cases);
    let cases = cases.unwrap_or_else(|| panic!("there is no area {area}"));
    let case = cases
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, case)| *case);
    let case = case.unwrap_or_else(|| panic!("{area} has no case {name}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let Some(running) = setting().await else {
            return;
        };
        case(&*running.api).await;
        running.stop().await;
    });
}
