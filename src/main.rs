//! The `jobgate` program.
fn main() {}
