//! Tells the program which compiler has built it, for `ibmiclone_build_info`. `IBMICLONE_REVISION` is the builder's own
//! word for the source it builds.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=IBMICLONE_REVISION");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    // `rustc 1.92.0 (…)`
    let version = version.unwrap_or_default();
    let number = version.split(' ').nth(1).unwrap_or_default().trim();
    println!("cargo::rustc-env=IBMICLONE_RUSTC={number}");
}
