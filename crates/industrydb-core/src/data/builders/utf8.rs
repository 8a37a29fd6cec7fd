//! Checks short texts for UTF-8 without a branch per character, which a processor cannot predict in
//! texts of several scripts.
//!
//! The states of a decoder are bit offsets. Each byte has a word that holds, at every state's
//! offset, the next state: shifting the word by the state is the step.
//! Well-formed sequences: <https://www.unicode.org/versions/latest/core-spec/chapter-3/#G27506>,
//! table 3-7.

/// Smallest length for which the vectors of `simdutf8` are faster.
const LONG: usize = 64;

/// Returns whether bytes are UTF-8.
#[inline]
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    if bytes.len() < LONG {
        is_short_utf8(bytes)
    } else {
        simdutf8::basic::from_utf8(bytes).is_ok()
    }
}

fn is_short_utf8(bytes: &[u8]) -> bool {
    let state = bytes.iter().fold(BETWEEN, |state, byte| {
        STEPS[usize::from(*byte)] >> (state & STATE)
    });
    state & STATE == BETWEEN
}

/// Bits of a state; those above it belong to other states.
const STATE: u64 = 0x3f;
/// A byte was wrong. No byte leads out of this state.
const WRONG: u64 = 0;
/// Between two characters.
const BETWEEN: u64 = 6;
/// One, two or three bytes from 0x80 to 0xBF must follow.
const ONE: u64 = 12;
const TWO: u64 = 18;
const THREE: u64 = 24;
/// The next byte has a smaller range, without overlong forms, surrogates, and what is above
/// U+10FFFF.
const AFTER_E0: u64 = 30;
const AFTER_ED: u64 = 36;
const AFTER_F0: u64 = 42;
const AFTER_F4: u64 = 48;

const STEPS: [u64; 256] = {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let first = match byte {
            0x00..=0x7f => BETWEEN,
            0xc2..=0xdf => ONE,
            0xe0 => AFTER_E0,
            0xed => AFTER_ED,
            0xe1..=0xef => TWO,
            0xf0 => AFTER_F0,
            0xf1..=0xf3 => THREE,
            0xf4 => AFTER_F4,
            _ => WRONG,
        };
        steps[byte] |= first << BETWEEN;
        if matches!(byte, 0x80..=0xbf) {
            steps[byte] |= BETWEEN << ONE | ONE << TWO | TWO << THREE;
            let (above_8f, above_9f) = (byte >= 0x90, byte >= 0xa0);
            steps[byte] |= if above_9f {
                ONE << AFTER_E0
            } else {
                ONE << AFTER_ED
            };
            steps[byte] |= if above_8f {
                TWO << AFTER_F0
            } else {
                TWO << AFTER_F4
            };
        }
        byte += 1;
    }
    steps
};

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_like_std(bytes: &[u8]) {
        assert_eq!(is_utf8(bytes), str::from_utf8(bytes).is_ok(), "{bytes:x?}");
    }

    /// Bytes at the edges of the ranges in which bytes mean the same.
    const EDGES: [u8; 22] = [
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
        0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5,
    ];

    #[test]
    fn short_sequences_are_judged_as_by_the_standard_library() {
        for first in 0..=u8::MAX {
            assert_like_std(&[first]);
            for second in 0..=u8::MAX {
                assert_like_std(&[first, second]);
                for third in EDGES {
                    assert_like_std(&[first, second, third]);
                }
            }
        }
        for first in 0xef..=0xf5 {
            for second in 0..=u8::MAX {
                for third in EDGES {
                    for fourth in EDGES {
                        assert_like_std(&[first, second, third, fourth]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_byte_is_found_at_every_place_of_a_text_of_any_length() {
        let text = "aß日本語𝄞 ".repeat(6);
        for end in 0..=text.len() {
            let bytes = &text.as_bytes()[..end];
            assert_like_std(bytes);
            for at in 0..end {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= 0x80;
                assert_like_std(&bytes);
            }
        }
    }
}
