//! Progress bars on a terminal; silence elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts objects, on standard error and only on a terminal.
pub(crate) fn counter(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {msg} {human_pos} objects, {per_sec}, {elapsed}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A sign of life of work whose end is not known, on standard error and only on a terminal.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A bar of work over so many objects, with rate and time left, on standard error and only on a
/// terminal.
pub(crate) fn bar(what: &str, objects: Option<u64>) -> ProgressBar {
    let Some(objects) = objects else {
        return counter(what);
    };
    let bar = ProgressBar::new(objects).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template(
        "{msg} {wide_bar} {human_pos} of {human_len}, {per_sec}, {eta} left",
    ) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
