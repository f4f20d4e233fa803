//! Runs [`jobgate::fuzzing::ids`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::ids(input));
