//! The server's side of the protocol, as far as the tests and the benchmark need it: tokens, and
//! the packets around them.
//!
//! <https://learn.microsoft.com/openspecs/windows_protocols/ms-tds>

use std::io::{Read, Result, Write};

/// Size of a packet's header. Its third and fourth byte are the length of the packet, header
/// included, in big-endian order.
pub(crate) const HEADER_BYTES: usize = 8;

/// Bit in a header's second byte that marks the last packet of a message.
const LAST: u8 = 1;
const ANSWER: u8 = 4;

/// Packet type that cancels a request.
pub(crate) const ATTENTION: u8 = 6;

/// DONE token that acknowledges a cancellation.
pub(crate) const CANCELLED: &[u8] = b"\xfd\x20\0\0\0\0\0\0\0\0\0\0\0";

/// Answer to PRELOGIN: a version, and ENCRYPTION as not supported.
pub(crate) const PRELOGIN: &[u8] =
    b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff\x10\0\0\0\0\0\x02";

/// `TYPE_INFO` of the types in the server's own answers.
pub(crate) const NVARCHAR: &[u8] = b"\xe7\x00\x02\x09\x04\xd0\x00\x34";
pub(crate) const BIT: &[u8] = b"\x68\x01";

/// A message from the client.
pub(crate) struct Request {
    /// Type of the message's packets.
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Tests whether the body contains a text, in UTF-16 like all texts.
    pub(crate) fn has(&self, wanted: &str) -> bool {
        let wanted = text(wanted);
        let mut places = self.body.windows(wanted.len().max(1));
        wanted.is_empty() || places.any(|place| place == wanted)
    }
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Encodes a text with its length in UTF-16 code units in front, as one byte.
pub(crate) fn short(value: &str) -> Vec<u8> {
    let length = u8::try_from(value.encode_utf16().count()).expect("short");
    [vec![length], text(value)].concat()
}

/// Encodes a text like an `nvarchar` value, with its length in bytes in front, as two bytes.
pub(crate) fn nvarchar(value: &str) -> Vec<u8> {
    sized(&text(value))
}

/// Puts the length of `bytes` in front of them, as two bytes.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    [&length.to_le_bytes()[..], bytes].concat()
}

pub(crate) fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind], sized(body)].concat()
}

/// Flag of a column that may be NULL.
pub(crate) const NULLABLE: u8 = 1;

/// Returns COLMETADATA of nullable columns, given their names and `TYPE_INFO`s.
pub(crate) fn columns(types: &[(&str, &[u8])]) -> Vec<u8> {
    let flagged: Vec<_> = types
        .iter()
        .map(|(name, info)| (*name, *info, NULLABLE))
        .collect();
    flagged_columns(&flagged)
}

/// Returns COLMETADATA of columns, given their names, `TYPE_INFO`s, and the first byte of their
/// flags.
pub(crate) fn flagged_columns(types: &[(&str, &[u8], u8)]) -> Vec<u8> {
    let count = u16::try_from(types.len()).expect("few");
    let mut token = vec![0x81];
    token.extend(count.to_le_bytes());
    for (name, type_info, flags) in types {
        token.extend([0, 0, 0, 0, *flags, 0]);
        token.extend(*type_info);
        token.extend(short(name));
    }
    token
}

/// Returns DONE, the last token of an answer, with the answer's row count.
pub(crate) fn done(rows: u64) -> Vec<u8> {
    [
        b"\xfd\x10\x00\xc1\x00".to_vec(),
        rows.to_le_bytes().to_vec(),
    ]
    .concat()
}

/// Returns ENVCHANGE, with the same text for the new and the old value.
fn change(kind: u8, value: &str) -> Vec<u8> {
    token(0xe3, &[vec![kind], short(value), short(value)].concat())
}

/// Returns the answer to a login, as the token with the packet size and the rest.
pub(crate) fn logged_in(packet_bytes: usize) -> [Vec<u8>; 2] {
    let acknowledged = [
        b"\x01\x74\x00\x00\x04".to_vec(),
        short("scripted"),
        vec![16, 0, 0, 0],
    ]
    .concat();
    let rest = [
        change(1, "db"),
        change(2, "us_english"),
        token(0xe3, b"\x07\x05\x09\x04\xd0\x00\x34\x00"), // the collation
        token(0xad, &acknowledged),
        b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
    ];
    [change(4, &packet_bytes.to_string()), rest.concat()]
}

/// Returns the answer of `sp_describe_first_result_set` for columns with these names and types.
pub(crate) fn described(told: &[(&str, &str)]) -> Vec<u8> {
    let names = [
        ("is_hidden", BIT),
        ("name", NVARCHAR),
        ("system_type_name", NVARCHAR),
        ("user_type_name", NVARCHAR),
    ];
    let row = |(name, type_name): &(&str, &str)| {
        [
            b"\xd1\x01\x00".to_vec(),
            nvarchar(name),
            nvarchar(type_name),
            b"\xff\xff".to_vec(),
        ]
        .concat()
    };
    let rows: Vec<u8> = told.iter().flat_map(row).collect();
    [columns(&names), rows, done(told.len() as u64)].concat()
}

/// Reads a message of one or more packets.
pub(crate) fn receive(stream: &mut impl Read) -> Result<Request> {
    let mut body = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut part = vec![0; length.saturating_sub(HEADER_BYTES)];
        stream.read_exact(&mut part)?;
        body.extend(part);
        if header[1] & LAST != 0 {
            return Ok(Request {
                kind: header[0],
                body,
            });
        }
    }
}

/// Sends an answer in packets of `packet_bytes` bytes each, without the header.
pub(crate) fn send(stream: &mut impl Write, answer: &[u8], packet_bytes: usize) -> Result<()> {
    stream.write_all(&packets(answer, packet_bytes))
}

/// Splits an answer into packets.
pub(crate) fn packets(answer: &[u8], packet_bytes: usize) -> Vec<u8> {
    let mut packets = Vec::with_capacity(
        answer.len() + answer.len() / packet_bytes * HEADER_BYTES + HEADER_BYTES,
    );
    let mut parts = answer.chunks(packet_bytes).peekable();
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() { LAST } else { 0 };
        let length = u16::try_from(part.len() + HEADER_BYTES).expect("small");
        let [high, low] = length.to_be_bytes();
        packets.extend([ANSWER, last, high, low, 0, 0, 1, 0]);
        packets.extend(part);
    }
    packets
}
