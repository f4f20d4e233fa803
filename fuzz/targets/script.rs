//! Runs [`jobgate::fuzzing::script`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| jobgate::fuzzing::script(input));
