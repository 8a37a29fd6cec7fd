//! Packs and unpacks the compressed protocol, which both sides speak once the login is complete.
//!
//! The stream of packets is cut anywhere into parts. In front of each part stand its length, its
//! number, and the length of its bytes when they are unpacked; the last is zero if they are not
//! compressed.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html>

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use industrydb_core::{Error, Result};

/// Number of bytes in front of each part.
const HEADER_BYTES: usize = 7;

/// Longest part, packed or unpacked: its length has three bytes.
const FULL: usize = 0xff_ffff;

/// Shortest part that is compressed, as by the servers: a shorter one would hardly get shorter.
const COMPRESSED_FROM: usize = 50;

/// Size of the buffer of bytes that are not unpacked yet.
const BUFFER_BYTES: usize = 64 << 10;

/// The state of both directions.
pub(crate) struct Compression {
    unpacker: Decompress,
    packer: Compress,
    /// Number of the next part of either side.
    sequence: u8,
    /// The bytes at `start..end` have arrived and are not unpacked yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    part: Part,
}

/// What is still to come of a part.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Nothing: a header follows.
    Complete,
    /// So many bytes that are not compressed.
    Plain(usize),
    /// So many compressed bytes, and so many that these still become.
    Packed(usize, usize),
}

impl Compression {
    /// `arrived` are bytes that came behind the login.
    pub(crate) fn new(arrived: &[u8]) -> Self {
        let mut buffer = arrived.to_vec();
        buffer.resize(BUFFER_BYTES.max(arrived.len()), 0);
        Self {
            unpacker: Decompress::new(true),
            // The fastest level: the server unpacks each statement before it works on it.
            packer: Compress::new(flate2::Compression::fast(), true),
            sequence: 0,
            buffer,
            start: 0,
            end: arrived.len(),
            part: Part::Complete,
        }
    }

    /// Returns the number of the next part, with which the server also counts packets on.
    pub(crate) fn sequence(&self) -> u8 {
        self.sequence
    }

    /// Starts to count parts anew, as with each command.
    pub(crate) fn restart(&mut self) {
        self.sequence = 0;
    }

    /// Packs packets with their headers.
    pub(crate) fn pack(&mut self, packets: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for part in packets.chunks(FULL) {
            let header = out.len();
            out.extend_from_slice(&[0; HEADER_BYTES]);
            out.reserve(part.len());
            let is_shorter = part.len() >= COMPRESSED_FROM && {
                self.packer.reset();
                let longest = out.len() + part.len() - 1;
                let status = self
                    .packer
                    .compress_vec(part, &mut out, FlushCompress::Finish)
                    .map_err(|error| Error::Internal(error.to_string()))?;
                status == Status::StreamEnd && out.len() <= longest
            };
            if !is_shorter {
                out.truncate(header + HEADER_BYTES);
                out.extend_from_slice(part);
            }
            let packed = out.len() - header - HEADER_BYTES;
            let unpacked = if is_shorter { part.len() } else { 0 };
            let head = &mut out[header..header + HEADER_BYTES];
            head[..3].copy_from_slice(&three_bytes(packed));
            head[3] = self.sequence;
            head[4..].copy_from_slice(&three_bytes(unpacked));
            self.sequence = self.sequence.wrapping_add(1);
        }
        Ok(out)
    }

    /// Returns the room for bytes that arrive; there is some once [`unpack`](Self::unpack) has
    /// returned nothing.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// Counts bytes that have arrived in the [`room`](Self::room).
    pub(crate) fn arrived(&mut self, count: usize) {
        self.end = self.buffer.len().min(self.end + count);
    }

    /// Unpacks bytes that have arrived into `out`, and returns how many bytes these became. A
    /// length that a header announces reserves nothing.
    ///
    /// # Errors
    ///
    /// For a part whose number is not the next one, that is not compressed by zlib, or that is
    /// shorter or longer than its header says.
    pub(crate) fn unpack(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut made = 0;
        while made < out.len() {
            let (arrived, room) = (&self.buffer[self.start..self.end], &mut out[made..]);
            match self.part {
                Part::Complete => {
                    let Some(header) = arrived.first_chunk().copied() else {
                        break;
                    };
                    self.start += HEADER_BYTES;
                    self.begin(header)?;
                }
                Part::Plain(left) => {
                    let count = left.min(arrived.len()).min(room.len());
                    if count == 0 {
                        break;
                    }
                    room[..count].copy_from_slice(&arrived[..count]);
                    self.start += count;
                    made += count;
                    self.part = match left - count {
                        0 => Part::Complete,
                        left => Part::Plain(left),
                    };
                }
                Part::Packed(left, becomes) => {
                    let Some(count) = self.inflate(left, becomes, room)? else {
                        break;
                    };
                    made += count;
                }
            }
        }
        Ok(made)
    }

    /// Takes the header of a part.
    fn begin(&mut self, header: [u8; HEADER_BYTES]) -> Result<()> {
        let length = |low: usize| {
            let bytes = [header[low], header[low + 1], header[low + 2], 0];
            u32::from_le_bytes(bytes) as usize
        };
        let (packed, number, becomes) = (length(0), header[3], length(4));
        if number != self.sequence {
            return Err(malformed(&format!(
                "part {number} came where {} was expected",
                self.sequence
            )));
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.part = match (packed, becomes) {
            (0, 0) => Part::Complete,
            (packed, 0) => Part::Plain(packed),
            (packed, becomes) => {
                self.unpacker.reset(true);
                Part::Packed(packed, becomes)
            }
        };
        Ok(())
    }

    /// Inflates some of a compressed part into `room`, and returns how many bytes these became;
    /// `None` if more have to arrive first.
    fn inflate(&mut self, left: usize, becomes: usize, room: &mut [u8]) -> Result<Option<usize>> {
        let arrived = &self.buffer[self.start..self.end];
        let arrived = &arrived[..arrived.len().min(left)];
        // The room for one byte too many: the end of the stream is behind the last byte.
        let mut beyond = [0];
        let room = match becomes.min(room.len()) {
            0 => &mut beyond[..],
            most => &mut room[..most],
        };
        let (used, made) = (self.unpacker.total_in(), self.unpacker.total_out());
        let status = self
            .unpacker
            .decompress(arrived, room, FlushDecompress::None)
            .map_err(|_| malformed("a part is not compressed by zlib"))?;
        let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        let used = count(self.unpacker.total_in(), used);
        let made = count(self.unpacker.total_out(), made);
        let (Some(left), Some(becomes)) = (left.checked_sub(used), becomes.checked_sub(made))
        else {
            return Err(malformed("a part is longer than its header says"));
        };
        self.start += used;
        self.part = match (status, left, becomes) {
            (Status::StreamEnd, 0, 0) => Part::Complete,
            (Status::StreamEnd, ..) => {
                return Err(malformed("a part has another length than its header says"));
            }
            _ if used + made == 0 && (left == 0 || !arrived.is_empty()) => {
                return Err(malformed("a part ends in the middle of its bytes"));
            }
            _ => Part::Packed(left, becomes),
        };
        Ok((used + made > 0).then_some(made))
    }
}

fn three_bytes(length: usize) -> [u8; 3] {
    let [a, b, c, ..] = length.to_le_bytes();
    [a, b, c]
}

#[cold]
fn malformed(why: &str) -> Error {
    Error::connection(format!(
        "the server's compressed bytes cannot be understood: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds bytes in pieces, and returns what they become in a room of so many bytes at a time.
    fn unpacked(bytes: &[u8], piece: usize, room: usize) -> Result<Vec<u8>> {
        let mut compression = Compression::new(b"");
        let mut found = Vec::new();
        let mut out = vec![0; room];
        for part in bytes.chunks(piece) {
            let mut part = part;
            while !part.is_empty() {
                let space = compression.room();
                let count = space.len().min(part.len());
                space[..count].copy_from_slice(&part[..count]);
                compression.arrived(count);
                part = &part[count..];
                loop {
                    let count = compression.unpack(&mut out)?;
                    found.extend_from_slice(&out[..count]);
                    if count == 0 {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        Compression::new(b"").pack(bytes).expect("packed")
    }

    /// Returns a part with any lengths in its header.
    fn part(number: u8, becomes: usize, body: &[u8]) -> Vec<u8> {
        let head = [three_bytes(body.len()), three_bytes(becomes)];
        [&head[0][..], &[number], &head[1], body].concat()
    }

    /// `zlib.compress(b"a" * 100)` of Python 3.
    const LETTERS: &[u8] = b"x\x9cKL\xa4=\0\0zG%\xe5";

    #[test]
    fn what_is_packed_is_unpacked_however_it_arrives() {
        let noise = (0..70_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
        let text = b"all work and no play ".repeat(4000);
        for bytes in [
            &b""[..],
            b"short",
            &[b'a'; 49],
            &[b'a'; 50],
            &noise.collect::<Vec<_>>(),
            &text,
        ] {
            for (piece, room) in [(1, 300_000), (7, 1), (1000, 49), (usize::MAX, 16_384)] {
                let found = unpacked(&packed(bytes), piece, room).expect("bytes");
                assert!(found == bytes, "{} {piece} {room}", bytes.len());
            }
        }
        assert_eq!(packed(b"short"), part(0, 0, b"short"));
        assert!(packed(&text).len() < text.len() / 50);
    }

    #[test]
    fn long_packets_are_several_parts() {
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * FULL + 5).collect();
        let packed = packed(&bytes);
        assert!(packed.len() < bytes.len() / 50);
        assert!(unpacked(&packed, 65_536, 1 << 20).expect("bytes") == bytes);
    }

    #[test]
    fn parts_of_another_program_are_unpacked() {
        let found = unpacked(&part(0, 100, LETTERS), 3, 30).expect("letters");
        assert_eq!(found, [b'a'; 100]);
    }

    #[test]
    fn false_parts_are_errors() {
        let with = |at: usize, byte: u8| {
            let mut body = LETTERS.to_vec();
            body[at] = byte;
            body
        };
        for (bytes, why) in [
            (part(1, 0, b"x"), "part 1 came where 0"),
            (part(0, 99, LETTERS), "longer"),
            (part(0, 101, LETTERS), "another length"),
            (part(0, FULL, LETTERS), "another length"),
            (part(0, 100, &[LETTERS, b"x"].concat()), "another length"),
            (part(0, 100, &LETTERS[..LETTERS.len() - 1]), "in the middle"),
            (part(0, 100, &LETTERS[..3]), "in the middle"),
            (part(0, 100, b""), "in the middle"),
            (part(0, 100, &with(0, 0)), "zlib"),
            (part(0, 100, &with(11, 0)), "zlib"),
            (part(0, 100, &[0xff; 60]), "zlib"),
        ] {
            for piece in [1, 5, 1000] {
                let error = unpacked(&bytes, piece, 1 << 16).expect_err(why).to_string();
                assert!(error.contains(why), "{why}: {error}");
            }
        }
    }

    /// A part that becomes a thousand times its length fills only the room that it is given.
    #[test]
    fn a_bomb_reserves_nothing() {
        let bomb = packed(&vec![0; FULL]);
        assert!(bomb.len() < 1 << 17);
        let mut compression = Compression::new(&bomb);
        let mut out = [0; 1000];
        assert_eq!(compression.unpack(&mut out).expect("zeros"), 1000);
        assert!(compression.buffer.len() <= BUFFER_BYTES.max(bomb.len()));
    }
}
