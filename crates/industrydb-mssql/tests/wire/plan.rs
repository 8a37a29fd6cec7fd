//! Tests of plans: where the cuts lie by the primary key, a histogram or a sample.

use std::sync::{Arc, Mutex};

use industrydb_core::planner::plan;
use industrydb_core::{DatabaseConnector, Parameters, Plan, Result, Split, Stop};

use crate::script::{QUERY, Script, error, request, rows, texts};
use crate::tds;

/// Creates a script that describes a table `s.t` in the database `d`, with the primary key `v`.
fn about_a_table() -> Script {
    let names = [
        "name",
        "system_type_name",
        "source_database",
        "source_schema",
        "source_table",
        "source_column",
    ];
    let steps: &[&[&str]] = &[&["1", "10", "0"], &["5", "10", "30"], &["9", "10", "40"]];
    Script::new("int", rows(b"\x26\x04", b"\x04\x07\x00\x00\x00", b"\x00"))
        .with(
            "N'', 1",
            texts(&names, &[&["v", "int", "d", "s", "t", "v"]]),
        )
        .with("is_primary_key", texts(&["name"], &[&["v"]]))
        .with(
            "dm_db_stats_histogram",
            texts(&["k", "equal_rows", "range_rows"], steps),
        )
}

fn planned(
    script: Script,
    query: &str,
    column: Option<&str>,
) -> (Result<Plan>, Arc<Mutex<Vec<tds::Request>>>) {
    let (connector, received) = script.serve();
    let stop = Stop::default();
    let described = connector
        .describe(&request(query, Parameters::default()), &stop)
        .expect("described");
    let split = Split {
        column: column.map(Into::into),
        partitions: 2,
        cuts: None,
    };
    (plan(&described, Some(&split), &stop), received)
}

#[test]
fn partitions_alone_split_by_the_primary_key_and_its_histogram() {
    let (plan, received) = planned(about_a_table(), QUERY, None);
    let plan = plan.expect("there is a primary key");
    let queries: Vec<&str> = plan.partitions.iter().map(|p| p.query.as_str()).collect();
    assert_eq!(
        queries,
        [
            "SELECT * FROM (\nSELECT v FROM t\n) AS q WHERE q.[v] < CAST(5 AS bigint) OR q.[v] IS NULL",
            "SELECT * FROM (\nSELECT v FROM t\n) AS q WHERE q.[v] >= CAST(5 AS bigint)",
        ]
    );
    let estimates: Vec<Option<f64>> = plan.partitions.iter().map(|p| p.estimated_rows).collect();
    assert_eq!(estimates, [Some(40.0), Some(60.0)]);
    let received = received.lock().expect("no panic");
    assert!(received.iter().any(|r| r.has("OBJECT_ID(N'[d].[s].[t]')")));
}

#[test]
fn tables_without_a_primary_key_need_a_column() {
    for (text, answer, reason) in [
        ("is_primary_key", texts(&["name"], &[]), "no primary key"),
        (
            "is_primary_key",
            texts(&["name"], &[&["other"]]),
            "\"other\" is not in",
        ),
        (
            "N'', 1",
            texts(&["name", "system_type_name"], &[&["v", "int"]]),
            "no table was found",
        ),
        (
            "N'', 1",
            error(11526, "The metadata could not be determined"),
            "no table was found",
        ),
    ] {
        let (plan, _) = planned(about_a_table().with(text, answer), QUERY, None);
        let message = plan.expect_err(reason).to_string();
        assert!(
            message.contains(reason) && message.contains("partition_on"),
            "{message}"
        );
    }
}

#[test]
fn without_a_histogram_some_rows_place_the_cuts() {
    let denied = error(229, "The SELECT permission was denied");
    for (query, histogram) in [
        (QUERY, denied),
        (QUERY, texts(&["k", "equal_rows", "range_rows"], &[])),
        // The query does not read all rows of the table, so the table's histogram does not count.
        (
            "SELECT v FROM t WHERE v > 3",
            texts(
                &["k", "equal_rows", "range_rows"],
                &[&["7", "1", "0"], &["8", "1", "0"]],
            ),
        ),
    ] {
        let script = about_a_table()
            .with("dm_db_stats_histogram", histogram)
            .with(
                "SUM(CAST(1 AS bigint)) AS n FROM (\n",
                texts(&["n"], &[&["3"]]),
            )
            .with(
                "GROUP BY",
                texts(&["", "n"], &[&["1", "1"], &["2", "1"], &["3", "1"]]),
            );
        let (plan, _) = planned(script, query, Some("v"));
        let plan = plan.expect("sampled");
        assert!(
            plan.partitions[0].query.contains("< CAST(3 AS bigint)"),
            "{plan:?}"
        );
    }
}
