//! The bytes of a packet, taken from the front.

/// Byte that stands for NULL in the place of a text's length.
const NULL: u8 = 0xfb;

/// Bytes of a packet that are not taken yet.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    /// Takes some bytes; `None` if there are fewer.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes a length-encoded integer.
    #[inline]
    pub(crate) fn integer(&mut self) -> Option<u64> {
        match self.u8()? {
            short @ 0..=0xfa => Some(u64::from(short)),
            0xfc => self.u16().map(u64::from),
            0xfd => self
                .array()
                .map(|[a, b, c]| u64::from(u32::from_le_bytes([a, b, c, 0]))),
            0xfe => self.array().map(u64::from_le_bytes),
            _ => None,
        }
    }

    /// Takes a text or bytes with their length in front.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.integer()?).ok()?;
        self.take(length)
    }

    /// Takes a text as [`text`](Self::text) does; returns all bytes from its first one on, and its
    /// length.
    #[inline]
    pub(crate) fn text_and_more(&mut self) -> Option<(&'a [u8], usize)> {
        let length = usize::try_from(self.integer()?).ok()?;
        let bytes = self.0;
        self.take(length)?;
        Some((bytes, length))
    }

    /// Takes the sign of a NULL in a text row, if it is there.
    pub(crate) fn null(&mut self) -> bool {
        match self.0 {
            [NULL, rest @ ..] => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_as_many_bytes_as_they_need() {
        for (bytes, value) in [
            (&b"\xfa"[..], Some(250)),
            (b"\xfc\xfb\x00", Some(251)),
            (b"\xfd\x00\x00\x01", Some(65_536)),
            (b"\xfe\x00\x00\x00\x01\x00\x00\x00\x00", Some(1 << 24)),
            (b"\xfb", None),
            (b"\xff", None),
            (b"\xfc\x01", None),
            (b"", None),
        ] {
            assert_eq!(Bytes(bytes).integer(), value, "{bytes:?}");
        }
    }
}
