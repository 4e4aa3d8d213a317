//! [`osis_fuzz::seed_file`] on what libFuzzer makes up.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| osis_fuzz::seed_file(data));
