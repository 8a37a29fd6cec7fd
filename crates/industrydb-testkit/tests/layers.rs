//! Checks that the layer check finds the faults that it is made for.

use std::fs;
use std::path::Path;

use industrydb_testkit::layers::{check, check_words};

/// Writes a crate of these files, and returns its folder.
fn crate_of(name: &str, files: &[(&str, &str)]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder); // there may be none
    for (file, text) in files {
        let path = folder.join("src").join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder.to_str().expect("a UTF-8 path").to_owned()
}

#[test]
fn a_room_may_use_itself_and_lower_ones() {
    let folder = crate_of(
        "good",
        &[
            (
                "lib.rs",
                "pub mod low; mod high; pub use low::first::First;",
            ),
            (
                "low/mod.rs",
                "pub mod first; mod second; pub use second::Second;\n#[cfg(test)]\nmod tests;",
            ),
            ("low/tests.rs", "use crate::high::High;"),
            (
                "low/first.rs",
                "pub struct First;\n#[cfg(test)]\nmod tests { use crate::high::High; }",
            ),
            (
                "low/second.rs",
                "use super::first::First; pub struct Second(First);",
            ),
            (
                "high.rs",
                "use crate::{First, low::Second};\n/// See [`crate::low`].\npub struct High;",
            ),
        ],
    );
    check(&folder, &[&["low"], &["high"]], &[]).expect("no fault");
    let error = check(&folder, &[&["high"], &["low"]], &[]).expect_err("upside down");
    assert!(
        error.contains("src/high.rs:1: high is not above low"),
        "{error}"
    );
    let error = check(&folder, &[&["low", "high"]], &[]).expect_err("side by side");
    assert!(error.contains("high is not above low"), "{error}");
    let error = check(&folder, &[&["low"]], &[]).expect_err("no layer");
    assert!(error.contains("src/high is in no layer"), "{error}");
}

#[test]
fn circles_are_found_in_a_room_and_by_re_exports() {
    let folder = crate_of(
        "circle",
        &[
            ("lib.rs", "mod room; pub use room::one::One;"),
            ("room/mod.rs", "pub mod one; mod two; mod three;"),
            ("room/one.rs", "pub struct One;\nfn f() { super::two::g() }"),
            ("room/two.rs", "use super::three::h; pub fn g() { h() }"),
            ("room/three.rs", "use crate::One; pub fn h() -> One { One }"),
        ],
    );
    let error = check(&folder, &[&["room"]], &[]).expect_err("a circle");
    for line in [
        "src/room/one.rs:2",
        "src/room/two.rs:1",
        "src/room/three.rs:1",
    ] {
        assert!(error.contains(line), "{error}");
    }
    check(&folder, &[&["room"]], &[("room::one", "room::two")]).expect("an exception");
}

/// An imported module counts as used: its names are used through it, as in `low::f()`.
#[test]
fn a_module_that_is_imported_is_used() {
    for import in [
        "use crate::high;",
        "use crate::high as other;",
        "use crate::{high};",
        "use crate::high::{self};",
        "use super::high;",
    ] {
        let low = format!("{import} pub fn f() {{}}");
        let files = [
            ("lib.rs", "mod low; mod high;"),
            ("low.rs", low.as_str()),
            ("high.rs", "use crate::low; pub fn g() { low::f() }"),
        ];
        let folder = crate_of("imported", &files);
        let error = check(&folder, &[&["low"], &["high"]], &[]).expect_err(import);
        for line in [
            "src/low.rs:1: low is not above high",
            "src/high.rs:1: low uses high too",
        ] {
            assert!(error.contains(line), "{import} {error}");
        }
    }
}

#[test]
fn words_are_found_in_code_alone() {
    let code = "/// Like Oracle.\nfn f() -> &'static str { \"TOP (1)\" }\nfn oracle_date() {}";
    let tests = "\n#[cfg(test)]\nmod tests { fn oracle() {} }";
    let folder = crate_of("words", &[("lib.rs", &format!("{code}{tests}"))]);
    let error = check_words(&folder, &["oracle", "top ("]).expect_err("two words");
    assert_eq!(error, "\nsrc/lib.rs:2: top (\nsrc/lib.rs:3: oracle");
}

/// The modules of `industrydb-py` use only modules of lower layers. That crate links to Python and
/// is tested from Python, so its layers are checked here.
#[test]
fn the_python_module_uses_only_lower_rooms() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../industrydb-py");
    let layers: &[&[&str]] = &[
        &["errors", "dtypes", "logging", "password"],
        &[
            "arguments",
            "parameters",
            "measured",
            "signals",
            "frame",
            "databases",
            "arrow_types",
        ],
        &["arrow", "parts", "filter", "interrupts"],
        &["config"],
        &["connection"],
        &["call"],
        &["hold", "read", "stream"],
        &["handover"],
    ];
    check(folder, layers, &[]).unwrap();
}
