//! Runs [`jobgate::fuzzing::callers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::callers(input));
