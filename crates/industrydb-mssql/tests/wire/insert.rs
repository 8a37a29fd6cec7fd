//! Tests of bulk loads: tables, their columns, and the server's own rules.

use industrydb_core::{DatabaseConnector, Error, Frame, OnConflict, Stop};

use crate::script::Script;
use crate::table::{INT, about, inserted, integers, row, with_a_table, with_columns};
use crate::tds;

/// A load announces columns and sends values in the table's order, whatever the order of the frame:
/// only the order assigns values to columns.
#[test]
fn values_go_to_the_columns_of_their_names_in_any_order() {
    let table = [
        ("a", INT, tds::NULLABLE),
        ("B]c", INT, tds::NULLABLE),
        ("d e", INT, tds::NULLABLE),
        ("id", INT, 0x10),
    ];
    let numbers = [
        [Some(11), Some(12)],
        [Some(22), None],
        [Some(33), Some(32)],
        [Some(44), Some(43)],
    ];
    let mut count = 0;
    for order in orders(table.len()) {
        let given = |place: &usize| (table[*place].0, &numbers[*place][..]);
        let frame = integers(&order.iter().map(given).collect::<Vec<_>>());
        let (written, requests) = inserted(with_columns(&table, &[]), frame);
        assert_eq!(written.expect("written"), 2, "{order:?}");
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let quoted = |place: &usize| ["[a] int", "[B]]c] int", "[d e] int", "[id] int"][*place];
        let announced = sorted.iter().map(quoted).collect::<Vec<_>>().join(", ");
        let announced = format!("INSERT BULK [s].[t] ({announced}) WITH");
        assert!(requests[0].has(&announced), "{order:?}");
        let values = |at: usize| sorted.iter().map(move |place| numbers[*place][at]);
        let columns = sorted.iter().map(|place| table[*place]);
        let columns: Vec<_> = columns
            .map(|(name, info, flags)| (name, info, flags | 8))
            .collect();
        let sent = [
            tds::flagged_columns(&columns),
            row(&values(0).collect::<Vec<_>>()),
            row(&values(1).collect::<Vec<_>>()),
        ]
        .concat();
        assert!(
            requests[1].body.starts_with(&sent),
            "{order:?}: {:02x?}",
            requests[1].body
        );
        count += 1;
    }
    assert_eq!(count, 64); // all orders of all non-empty sets of columns
}

/// Returns all orders of all non-empty sets of the numbers below `length`.
fn orders(length: usize) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new()];
    let mut at = 0;
    while let Some(order) = found.get(at).cloned() {
        let free = (0..length).filter(|number| !order.contains(number));
        found.extend(free.map(|number| [&order[..], &[number]].concat()));
        at += 1;
    }
    found.split_off(1)
}

/// Columns that the frame lacks get their defaults, and NULLs stay NULL. A frame that needs both is
/// refused: a bulk load applies defaults to NULLs and to lacking columns, or to neither.
#[test]
fn columns_that_the_data_lack_get_their_defaults_and_nulls_stay() {
    let table = ["a", "b", "c"].map(|name| (name, INT, tds::NULLABLE));
    let (values, nulls) = ([Some(1), Some(2)], [Some(1), None]);
    for (rules, given, keeps) in [
        (
            &[["a", "default"], ["b", "default"]][..],
            &[("a", &values)][..],
            Some(false),
        ),
        (&[["b", "default"]], &[("a", &nulls)], Some(false)),
        (&[["b", "default"]], &[("b", &nulls)], Some(true)),
        (
            &[["a", "default"], ["b", "default"]],
            &[("a", &nulls)],
            None,
        ),
        (
            &[["a", "default"]],
            &[("c", &values), ("a", &nulls)],
            Some(true),
        ),
        (&[], &[("a", &nulls)], Some(true)),
    ] {
        let frame: Vec<(&str, &[Option<i32>])> = given
            .iter()
            .map(|(name, cells)| (*name, &cells[..]))
            .collect();
        let (written, requests) = inserted(with_columns(&table, rules), integers(&frame));
        match (written, keeps) {
            (Ok(2), Some(keeps)) => assert_eq!(requests[0].has("KEEP_NULLS"), keeps, "{given:?}"),
            (Err(error @ Error::Configuration(_)), None) => {
                let message = error.to_string();
                assert!(
                    message.contains("\"a\"") && message.contains("\"b\""),
                    "{message}"
                );
                assert!(!requests.iter().any(|request| request.has("INSERT BULK")));
            }
            (written, _) => panic!("{given:?}: {written:?}"),
        }
    }
}

/// A frame with a computed or rowversion column is refused: the server would ignore its values.
#[test]
fn columns_that_the_server_makes_are_refused() {
    let table = ["a", "made"].map(|name| (name, INT, tds::NULLABLE));
    for rule in ["computed", "rowversion"] {
        let script = || with_columns(&table, &[["made", rule]]);
        let (written, requests) = inserted(script(), integers(&[("made", &[Some(1)])]));
        let message = written.expect_err(rule).to_string();
        assert!(
            message.contains(&format!("\"made\" of table s.t is {rule}")),
            "{message}"
        );
        assert!(!requests.iter().any(|request| request.has("INSERT BULK")));
        let (written, _) = inserted(script(), integers(&[("a", &[Some(1)])]));
        assert_eq!(written.expect("written"), 1);
    }
}

#[test]
fn names_of_tables_are_quoted_and_looked_for_in_their_database() {
    for (table, name, sys) in [
        ("\"a.b\".[c]]'d]", "[a.b].[c]]'d]", "FROM sys.columns"),
        ("d.s.t", "[d].[s].[t]", "FROM [d].sys.columns"),
        ("#t", "[#t]", "FROM tempdb.sys.columns"),
    ] {
        let frame = integers(&[("v", &[Some(1)])]);
        let script = with_a_table(INT);
        let (connector, received) = script.serve();
        let stop = Stop::default();
        let mut connection = connector.connect(&stop).expect("connected");
        let frame = Frame::new(frame).expect("a frame");
        let written = connection.insert(table, &frame, OnConflict::Error, &stop);
        assert_eq!(written.expect(table), 1);
        let received = received.lock().expect("no panic");
        let load = format!("INSERT BULK {name} ([v] int)");
        assert!(received.iter().any(|request| request.has(&load)), "{table}");
        assert!(received.iter().any(|request| request.has(sys)), "{table}");
    }
}

#[test]
fn names_that_are_too_long_are_not_sent() {
    let (connector, received) = with_a_table(INT).serve();
    let stop = Stop::default();
    let mut connection = connector.connect(&stop).expect("connected");
    let before = received.lock().expect("no panic").len();
    let long = "😀".repeat(64) + "x";
    for (table, column) in [(&*long, "v"), (&format!("{long}.t"), "v"), ("s.t", &long)] {
        let frame = Frame::new(integers(&[(column, &[Some(1)])])).expect("a frame");
        let written = connection.insert(table, &frame, OnConflict::Error, &stop);
        let message = written.expect_err("too long").to_string();
        for part in [&*long, "129 characters", "128"] {
            assert!(message.contains(part), "{message}");
        }
    }
    connection.has_table(&long, &stop).expect_err("too long");
    assert_eq!(received.lock().expect("no panic").len(), before);
}

/// An insert is rolled back if the table is altered between the look-up of its types and the load,
/// which locks the table.
#[test]
fn rows_for_a_table_that_was_altered_meanwhile_are_taken_back() {
    for (now, part) in [
        (
            &[("v", &b"\x6d\x04"[..], tds::NULLABLE)][..],
            "\"v\" of table [s].[t] was int when it was looked up, and real",
        ),
        (&[("w", INT, tds::NULLABLE)], "and gone"),
    ] {
        let before = about(&[("v", INT, tds::NULLABLE)]);
        let script = Script {
            first: vec![("sp_tablecollations_100", before)],
            ..with_columns(now, &[])
        };
        let (written, requests) = inserted(script, integers(&[("v", &[Some(1)])]));
        let error = written.expect_err("altered");
        assert!(matches!(error, Error::Query { code: None, .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!requests.iter().any(|request| request.has("COMMIT")));
        let last = requests.last().expect("requests");
        assert!(last.has("ROLLBACK TRANSACTION"));
    }
}
