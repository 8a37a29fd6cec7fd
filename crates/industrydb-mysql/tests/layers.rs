//! Checks that each module uses only modules of lower layers.

use industrydb_testkit::layers::check;

#[test]
fn each_room_uses_only_lower_ones() {
    let layers: &[&[&str]] = &[
        &["config"],
        &["types"],
        &["sql"],
        &["wire"],
        &["columns"],
        &["encode"],
        &["session"],
        &["read", "write"],
        &["connection"],
        &["connector"],
        &["fuzzing"],
    ];
    check(env!("CARGO_MANIFEST_DIR"), layers, &[]).unwrap();
}
