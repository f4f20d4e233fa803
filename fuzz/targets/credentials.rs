//! Runs [`jobgate::fuzzing::credentials`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::credentials(input));
