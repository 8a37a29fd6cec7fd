//! Checks which modules may use which.

use industrydb_testkit::layers::check;

#[test]
fn each_room_uses_only_lower_ones() {
    let layers: &[&[&str]] = &[
        &["config", "wire", "types"],
        &["sql"],
        &["columns", "encode"],
        &["session"],
        &["read", "write"],
        &["connection"],
        &["connector"],
    ];
    check(env!("CARGO_MANIFEST_DIR"), layers, &[]).unwrap();
}
