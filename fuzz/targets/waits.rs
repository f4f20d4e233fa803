//! Runs [`jobgate::fuzzing::waits`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::waits(input));
