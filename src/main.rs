//! The binary: parse, call, nothing else.
fn main() {}
