//! Runs [`jobgate::fuzzing::answer`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::answer(input));
