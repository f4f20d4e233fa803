//! What must hold for every input of the parsers. `cargo fuzz` looks for inputs that break it, and
//! `cargo test` tries those that were kept.
//!
//! Each function panics if something does not hold. Rooms keep their parsers to themselves; what
//! is needed of them here, their own `fuzzing.rs` hands out.

mod answer;
mod callers;
mod credentials;
mod ids;
mod input;
mod script;
mod secrets;
mod signature;
mod times;
mod waits;

pub use self::{
    answer::check as answer, callers::check as callers, credentials::check as credentials,
    ids::check as ids, script::check as script, secrets::check as secrets,
    signature::check as signature, times::check as times, waits::check as waits,
};

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, panic, path::Path};

    use super::*;

    type Target = (&'static str, fn(&[u8]));

    /// Each by the name of its program and of its folder of inputs.
    const TARGETS: [Target; 9] = [
        ("answer", answer),
        ("callers", callers),
        ("credentials", credentials),
        ("ids", ids),
        ("script", script),
        ("secrets", secrets),
        ("signature", signature),
        ("times", times),
        ("waits", waits),
    ];

    #[test]
    fn what_was_kept_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let folders = fs::read_dir(&corpus).unwrap().map(|it| it.unwrap().file_name());
        let folders: BTreeSet<_> = folders.map(|it| it.into_string().unwrap()).collect();
        assert_eq!(folders, TARGETS.map(|(name, _)| name.to_owned()).into());
        let mut broken = Vec::new();
        for (name, check) in TARGETS {
            let mut inputs = 0;
            for input in fs::read_dir(corpus.join(name)).unwrap() {
                let path = input.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                if panic::catch_unwind(|| check(&bytes)).is_err() {
                    broken.push(path);
                }
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no inputs");
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
