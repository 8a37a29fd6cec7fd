//! Tells the crate which of SQLite's optional functions it can link.

use std::env;

/// Flags of the SQLite that libsqlite3-sys builds; `.cargo/config.toml` has ours.
const FLAGS: &str = "LIBSQLITE3_FLAGS";
/// Has libsqlite3-sys link the system's library, whose flags are not known.
const SYSTEM: &str = "LIBSQLITE3_SYS_USE_PKG_CONFIG";

fn main() {
    for variable in [FLAGS, SYSTEM] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rustc-check-cfg=cfg(has_snapshots)");
    let is_built = env::var_os(SYSTEM).is_none_or(|value| value == "0");
    let flags = env::var(FLAGS).unwrap_or_default();
    if is_built && flags.contains("SQLITE_ENABLE_SNAPSHOT") {
        println!("cargo::rustc-cfg=has_snapshots");
    }
}
