//! Tests of a kept session: rows, row counts and broken constraints.

use industrydb_core::{Answer, DatabaseConnector, Error, Parameters, Stop};

use crate::script::{Script, error, rows};

#[test]
fn a_connection_tells_the_rows_and_what_they_break() {
    // DONE tokens with row counts: of an UPDATE (0xc5), after which more follows, and of an INSERT
    // (0xc3).
    let updated = b"\xfd\x11\x00\xc5\x00\x02\0\0\0\0\0\0\0".to_vec();
    let inserted = b"\xfd\x10\x00\xc3\x00\x03\0\0\0\0\0\0\0".to_vec();
    let unique =
        "Violation of UNIQUE KEY constraint 'UQ_a'. Cannot insert duplicate key in object 'dbo.t'.";
    let foreign = "The INSERT statement conflicted with the FOREIGN KEY constraint \"FK_a\". The conflict occurred in \
                   database \"d\", table \"dbo.p\", column 'id'.";
    let null = "Cannot insert the value NULL into column 'c', table 'd.dbo.t'; column does not allow nulls.";
    let script = Script::new("int", rows(b"\x26\x04", b"\x04\x07\0\0\0", b"\0"))
        .with("TWICE", [updated, inserted].concat())
        .with("UNIQUE", error(2627, unique))
        .with("FOREIGN", error(547, foreign))
        .with("NULL", error(515, null));
    let (connector, _) = script.serve();
    let stop = Stop::default();
    let mut connection = connector.connect(&stop).expect("connected");
    let mut run = |statement| connection.execute(statement, &Parameters::default(), &stop);
    assert!(matches!(run("TWICE"), Ok(Answer::Changed(5))));
    let Ok(Answer::Rows(fields, chunk)) = run("SELECT v") else {
        panic!("rows");
    };
    assert_eq!((fields[0].name.as_str(), chunk.height), ("v", 3));
    let text = |text: &str| Some(text.to_owned());
    for (statement, expected) in [
        ("UNIQUE", (text("UQ_a"), text("dbo.t"), None)),
        ("FOREIGN", (text("FK_a"), text("dbo.p"), text("id"))),
        ("NULL", (None, text("d.dbo.t"), text("c"))),
    ] {
        match run(statement).err() {
            Some(Error::Constraint {
                constraint,
                table,
                column,
                ..
            }) => assert_eq!((constraint, table, column), expected, "{statement}"),
            other => panic!("{statement}: {other:?}"),
        }
    }
}
