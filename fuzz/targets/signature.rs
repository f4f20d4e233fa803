//! Runs [`jobgate::fuzzing::signature`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::signature(input));
