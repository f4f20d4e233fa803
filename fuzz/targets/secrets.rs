//! Runs [`jobgate::fuzzing::secrets`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::secrets(input));
