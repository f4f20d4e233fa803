//! Runs [`jobgate::fuzzing::times`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::times(input));
