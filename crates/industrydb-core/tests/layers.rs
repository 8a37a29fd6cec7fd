//! Which rooms may use which.

use industrydb_testkit::layers::check;

#[test]
fn each_room_uses_only_lower_ones() {
    let layers: &[&[&str]] = &[
        &["base"],
        &["schema"],
        &["data", "sql"],
        &["write"],
        &["session"],
        &["read"],
    ];
    check(env!("CARGO_MANIFEST_DIR"), layers, &[]).unwrap();
}
