//! Real parts that a test needs and a machine may lack.

use std::io::Write as _;

/// Says loudly that a test is skipped, since this machine lacks what it needs; where the
/// environment has `CI`, which has all parts, that is a failure.
pub fn skip(test: &str, why: &str) {
    assert!(!in_ci(), "{test}: {why}");
    skip_anywhere(test, why);
}

/// As [`skip`], for what no package brings: a kernel with FUSE, the rights of root. That is no
/// failure anywhere.
pub fn skip_anywhere(test: &str, why: &str) {
    // Not `eprintln!`, which the test harness keeps to itself where a test does not fail.
    let mut out = std::io::stderr().lock();
    writeln!(out, "SKIPPED: {test}: {why}").unwrap();
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
