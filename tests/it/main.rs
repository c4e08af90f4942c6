//! Integration tests, a module per subject.
fn main() {}
