//! Tests of each type: what the bytes of its values are decoded to.

use industrydb_core::{
    Chunk, ColumnType, DatabaseConnector, Error, Parameters, Partition, Request, Result, Stop,
};
use polars_arrow::array::BinaryViewArray;
use polars_core::prelude::TimeUnit;

use crate::script::{PACKET_BYTES, QUERY, Script, answered, read, request, rows};
use crate::tds::{columns, done};

/// A type's name, its `TYPE_INFO`, the bytes of a value and of a NULL, and the debug output of the
/// array that they are decoded to.
pub(crate) type Row = (
    &'static str,
    &'static [u8],
    &'static [u8],
    &'static [u8],
    &'static str,
);

/// Test values of each type.
pub(crate) const TYPES: [Row; 35] = [
    (
        "bit",
        b"\x68\x01",
        b"\x01\x01",
        b"\x00",
        "BooleanArray[true, None]",
    ),
    (
        "tinyint",
        b"\x26\x01",
        b"\x01\xff",
        b"\x00",
        "UInt8[255, None]",
    ),
    (
        "smallint",
        b"\x26\x02",
        b"\x02\x00\x80",
        b"\x00",
        "Int16[-32768, None]",
    ),
    (
        "int",
        b"\x26\x04",
        b"\x04\xff\xff\xff\xff",
        b"\x00",
        "Int32[-1, None]",
    ),
    (
        "bigint",
        b"\x26\x08",
        b"\x08\x00\x00\x00\x00\x00\x00\x00\x80",
        b"\x00",
        "Int64[-9223372036854775808, None]",
    ),
    (
        "real",
        b"\x6d\x04",
        b"\x04\x00\x00\x00\x3f",
        b"\x00",
        "Float32[0.5, None]",
    ),
    (
        "float",
        b"\x6d\x08",
        b"\x08\x00\x00\x00\x00\x00\x00\xe0\xbf",
        b"\x00",
        "Float64[-0.5, None]",
    ),
    (
        "decimal(10,2)",
        b"\x6a\x09\x0a\x02",
        b"\x09\x00\x39\x30\x00\x00\x00\x00\x00\x00",
        b"\x00",
        "Int128[-12345, None]",
    ),
    (
        "money",
        b"\x6e\x08",
        b"\x08\xff\xff\xff\xff\xfe\xff\xff\xff",
        b"\x00",
        "Int128[-2, None]",
    ),
    (
        "smallmoney",
        b"\x6e\x04",
        b"\x04\x10\x27\x00\x00",
        b"\x00",
        "Int128[10000, None]",
    ),
    // 2024-02-29 is day 738,944 (0x0b4680); 12:34:56.7890123 are 452,967,890,123 (0x6976fd7ccb)
    // ticks.
    (
        "date",
        b"\x28",
        b"\x03\x80\x46\x0b",
        b"\x00",
        "Int32[19782, None]",
    ),
    (
        "time(7)",
        b"\x29\x07",
        b"\x05\xcb\x7c\xfd\x76\x69",
        b"\x00",
        "Int64[45296789012300, None]",
    ),
    (
        "datetime2(7)",
        b"\x2a\x07",
        b"\x08\xcb\x7c\xfd\x76\x69\x80\x46\x0b",
        b"\x00",
        "Int64[17092100967890123, None]",
    ),
    // The time is 45,296,789 (0x2b32c95) milliseconds.
    (
        "datetime2(3)",
        b"\x2a\x03",
        b"\x07\x95\x2c\xb3\x02\x80\x46\x0b",
        b"\x00",
        "Int64[1709210096789000, None]",
    ),
    (
        "datetimeoffset(7)",
        b"\x2b\x07",
        b"\x0a\xcb\x7c\xfd\x76\x69\x80\x46\x0b\x59\x01",
        b"\x00",
        "Int64[17092100967890123, None]",
    ),
    // Day 45,349 (0xb125) after 1900-01-01, and 13,589,037 (0xcf5a2d) units of 1/300 second.
    (
        "datetime",
        b"\x6f\x08",
        b"\x08\x25\xb1\x00\x00\x2d\x5a\xcf\x00",
        b"\x00",
        "Int64[1709210096790000, None]",
    ),
    (
        "smalldatetime",
        b"\x6f\x04",
        b"\x04\x25\xb1\xf3\x02",
        b"\x00",
        "Int64[1709210100000000, None]",
    ),
    (
        "nvarchar(10)",
        b"\xe7\x14\x00\x09\x04\xd0\x00\x34",
        b"\x06\x00\x61\x00\x3d\xd8\x00\xde",
        b"\xff\xff",
        "Utf8ViewArray[a😀, None]",
    ),
    (
        "varchar(10)",
        b"\xa7\x0a\x00\x09\x04\xd0\x00\x34",
        b"\x02\x00\x61\xe4",
        b"\xff\xff",
        "Utf8ViewArray[aä, None]",
    ),
    // Cyrillic_General_CI_AS, code page 1251.
    (
        "varchar(10)",
        b"\xa7\x0a\x00\x19\x04\xd0\x00\x00",
        b"\x01\x00\xc6",
        b"\xff\xff",
        "Utf8ViewArray[Ж, None]",
    ),
    (
        "nvarchar(max)",
        b"\xe7\xff\xff\x09\x04\xd0\x00\x34",
        b"\x04\0\0\0\0\0\0\0\x01\0\0\0\x61\x03\0\0\0\x00\x62\x00\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "Utf8ViewArray[ab, None]",
    ),
    (
        "varbinary(8)",
        b"\xa5\x08\x00",
        b"\x02\x00\x00\xff",
        b"\xff\xff",
        "BinaryViewArray[[0, 255], None]",
    ),
    // A value in chunks, whose length is not announced.
    (
        "varbinary(max)",
        b"\xa5\xff\xff",
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\x07\x01\0\0\0\x08\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "BinaryViewArray[[7, 8], None]",
    ),
    (
        "uniqueidentifier",
        b"\x24\x10",
        b"\x10\xff\x19\x96\x6f\x86\x8b\x11\xd0\xb4\x2d\x00\xc0\x4f\xc9\x64\xff",
        b"\x00",
        "Utf8ViewArray[6F9619FF-8B86-D011-B42D-00C04FC964FF, None]",
    ),
    (
        "xml",
        b"\xf1\x00",
        b"\x08\0\0\0\0\0\0\0\x08\0\0\0\x3c\x00\x61\x00\x2f\x00\x3e\x00\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "Utf8ViewArray[<a/>, None]",
    ),
    // A datetimeoffset of 18:19:56.7890123 at +05:45.
    (
        "sql_variant",
        b"\x62\x49\x1f\x00\x00",
        b"\x0d\0\0\0\x2b\x01\x07\xcb\x7c\xfd\x76\x69\x80\x46\x0b\x59\x01",
        b"\0\0\0\0",
        "Utf8ViewArray[2024-02-29 18:19:56.789012300 +05:45, None]",
    ),
    // `TYPE_INFO` includes the table's name; a pointer and a timestamp precede the value.
    (
        "text",
        b"\x23\xff\xff\xff\x7f\x09\x04\xd0\x00\x34\x01\x01\x00\x74\x00",
        b"\x10pppppppppppppppptttttttt\x02\0\0\0\x61\xe4",
        b"\x00",
        "Utf8ViewArray[aä, None]",
    ),
    (
        "ntext",
        b"\x63\xff\xff\xff\x7f\x09\x04\xd0\x00\x34\x01\x01\x00\x74\x00",
        b"\x10pppppppppppppppptttttttt\x02\0\0\0\x16\x04",
        b"\x00",
        "Utf8ViewArray[Ж, None]",
    ),
    (
        "image",
        b"\x22\xff\xff\xff\x7f\x01\x01\x00\x74\x00",
        b"\x10pppppppppppppppptttttttt\x02\0\0\0\x07\x08",
        b"\x00",
        "BinaryViewArray[[7, 8], None]",
    ),
    // sys.hierarchyid: /1/ is 0x58.
    (
        "hierarchyid",
        b"\xf0\x7c\x03\x00\x03\x73\x00\x79\x00\x73\x00\x01\x68\x00\x01\x00\x61\x00",
        b"\x01\0\0\0\0\0\0\0\x01\0\0\0\x58\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "BinaryViewArray[[88], None]",
    ),
    (
        "json",
        b"\xf4",
        b"\x02\0\0\0\0\0\0\0\x02\0\0\0{}\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "Utf8ViewArray[{}, None]",
    ),
    // Layout, version, number of dimensions and element type; then 0.5 and -2.
    (
        "vector(2)",
        b"\xf5\x10\x00\x00",
        b"\x10\x00\xa9\x01\x02\x00\x00\0\0\0\0\0\0\x3f\0\0\0\xc0",
        b"\xff\xff",
        "LargeListArray[[0.5, -2], None]",
    ),
    // UTF-8, by the collation Latin1_General_100_CI_AS_SC_UTF8.
    (
        "varchar(10)",
        b"\xa7\x0a\x00\x09\x04\xd0\x04\x00",
        b"\x03\x00\xe2\x82\xac",
        b"\xff\xff",
        "Utf8ViewArray[€, None]",
    ),
    (
        "sql_variant",
        b"\x62\x49\x1f\x00\x00",
        b"\x06\0\0\0\x38\x00\x07\x00\x00\x00",
        b"\0\0\0\0",
        "Utf8ViewArray[7, None]",
    ),
    (
        "sql_variant",
        b"\x62\x49\x1f\x00\x00",
        b"\x04\0\0\0\xa5\x02\x08\x00",
        b"\0\0\0\0",
        "Utf8ViewArray[0x, None]",
    ),
];

#[test]
fn values_are_what_their_bytes_say_in_packets_of_any_size() {
    for (type_name, type_info, value, null, expected) in TYPES {
        for packet_bytes in [1, 2, 3, 7, PACKET_BYTES] {
            let script = Script {
                packet_bytes,
                trickles: packet_bytes == 7,
                ..Script::new(type_name, rows(type_info, value, null))
            };
            let chunk = read(script, &Stop::default()).expect(type_name);
            assert_eq!(chunk.height, 3);
            let shown = format!("{:?}", chunk.columns[0].array);
            let expected = expected.replace(", None]", ", None, None]");
            assert_eq!(shown, expected, "{type_name} in packets of {packet_bytes}");
        }
    }
}

#[test]
fn large_values_arrive_in_their_chunks() {
    const CHUNKS: u8 = 250;
    let chunk = |number: u8| [&80_000_u32.to_le_bytes()[..], &vec![number; 80_000]].concat();
    let value: Vec<u8> = (0..CHUNKS).flat_map(chunk).collect();
    let length_is_not_told = b"\xfe\xff\xff\xff\xff\xff\xff\xff".to_vec();
    let answer = [
        columns(&[("v", b"\xa5\xff\xff")]),
        vec![0xd1],
        length_is_not_told,
        value,
        vec![0; 4],
        done(1),
    ];
    let chunk = answered("varbinary(max)", answer.concat()).expect("20 MB");
    let array = chunk.columns[0]
        .array
        .as_any()
        .downcast_ref::<BinaryViewArray>();
    let expected: Vec<u8> = (0..CHUNKS)
        .flat_map(|number| vec![number; 80_000])
        .collect();
    assert!(array.expect("bytes").value(0) == expected);
}

#[test]
fn dates_and_times_that_there_are_not_are_errors() {
    for (type_name, type_info, value) in [
        ("date", &b"\x28"[..], &b"\x03\xff\xff\xff"[..]),
        ("time(7)", b"\x29\x07", b"\x05\xff\xff\xff\xff\xff"),
        ("datetime2(7)", b"\x2a\x07", b"\x08\0\0\0\0\0\xff\xff\xff"),
        (
            "datetimeoffset(7)",
            b"\x2b\x07",
            b"\x0a\xff\xff\xff\xff\xff\0\0\0\0\0",
        ),
        ("datetime", b"\x6f\x08", b"\x08\xff\xff\xff\x7f\0\0\0\0"),
        ("datetime", b"\x6f\x08", b"\x08\0\0\0\0\xff\xff\xff\xff"),
        ("smalldatetime", b"\x6f\x04", b"\x04\0\0\xff\xff"),
    ] {
        let error = answered(type_name, rows(type_info, value, b"\0"))
            .err()
            .expect(type_name);
        assert!(
            matches!(error, Error::Conversion(_)),
            "{type_name}: {error}"
        );
    }
}

/// Reads a column of a type as the type `known`, which was settled for it, with the whole result as
/// one chunk.
fn read_settled(
    type_name: &'static str,
    type_info: &[u8],
    value: &[u8],
    known: ColumnType,
) -> Result<Chunk> {
    let (connector, _) = Script::new(type_name, rows(type_info, value, b"\0")).serve();
    let stop = Stop::default();
    let request = Request {
        settled: vec![("v".to_owned(), known)],
        ..request(QUERY, Parameters::default())
    };
    connector
        .describe(&request, &stop)?
        .read(&Partition::whole(0, QUERY), &stop)
}

#[test]
fn a_time_has_the_unit_that_was_settled_or_is_an_error() {
    // 2024-02-29 12:34:56.7890123, and the same to the microsecond.
    let fine = b"\x08\xcb\x7c\xfd\x76\x69\x80\x46\x0b";
    let coarse = b"\x08\xc8\x7c\xfd\x76\x69\x80\x46\x0b";
    let datetime = |unit| ColumnType::Datetime { unit, utc: false };
    let read = |value: &[u8], unit| {
        read_settled("datetime2(7)", b"\x2a\x07", value, datetime(unit))
            .map(|chunk| chunk.columns[0].column_type.clone())
    };
    for (value, unit) in [
        (fine, TimeUnit::Nanoseconds),
        (coarse, TimeUnit::Nanoseconds),
        (coarse, TimeUnit::Microseconds),
    ] {
        assert_eq!(read(value, unit).expect("fits"), datetime(unit));
    }
    let error = read(fine, TimeUnit::Microseconds).expect_err("is finer");
    assert!(matches!(error, Error::Conversion(_)), "{error}");
}

#[test]
fn a_column_of_another_type_than_the_settled_one_keeps_its_own() {
    let (type_info, value) = (b"\x6d\x08", b"\x08\x9a\x99\x99\x99\x99\x99\xb9\x3f");
    let chunk = read_settled("float", type_info, value, ColumnType::Float32).expect("as it is");
    assert_eq!(chunk.columns[0].column_type, ColumnType::Float64);
}

#[test]
fn what_was_announced_otherwise_is_an_error() {
    let answer = rows(
        b"\x6d\x08",
        b"\x08\x00\x00\x00\x00\x00\x00\xe0\x3f",
        b"\x00",
    );
    let error = answered("int", answer).err().expect("a float");
    assert!(matches!(error, Error::Query { .. }), "{error}");
    for garbage in [vec![0x01], vec![0xff; 40], vec![0x81, 0xff, 0xfe, 0, 0]] {
        let script = Script {
            hangs_up: true,
            ..Script::new("int", garbage)
        };
        read(script, &Stop::default()).err().expect("garbage");
    }
}

/// A column is read although the server describes its type in more detail than it sends it.
#[test]
fn types_have_other_names_on_the_wire() {
    for (described, type_info) in [
        ("numeric(10, 2)", &b"\x6a\x09\x0a\x02"[..]),
        ("numeric(10, 2)", b"\x6c\x09\x0a\x02"),
        ("timestamp", b"\xad\x08\x00"),
        ("sysname", b"\xe7\x00\x01\x09\x04\xd0\x00\x34"),
        ("json", b"\xe7\xff\xff\x09\x04\xd0\x00\x34"),
    ] {
        let answer = [columns(&[("v", type_info)]), done(0)].concat();
        assert_eq!(answered(described, answer).expect(described).height, 0);
    }
}
