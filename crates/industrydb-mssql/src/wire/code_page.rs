//! Encodings of `char` and `varchar`, by collation.

use mssql_tds::datatypes::sql_string::{EncodingType, ResolvedEncoding};

/// Bits of a collation that name its language.
const LANGUAGE: u32 = 0xffff;
/// Bits of a collation that name another sort order of the same language.
const ORDER: u32 = 0x000f_0000;

/// Languages that the driver mistakes for Western European, each paired with a language that has
/// the same code page and is known to the driver.
/// <https://learn.microsoft.com/openspecs/windows_protocols/ms-lcid>
const STAND_INS: [(u32, u32); 14] = [
    (0x0442, 0x0405), // Turkmen: 1250
    (0x081a, 0x0405), // Serbian, Latin
    (0x141a, 0x0405), // Bosnian, Latin
    (0x046d, 0x0419), // Bashkir: 1251
    (0x082c, 0x0419), // Azerbaijani, Cyrillic
    (0x0485, 0x0419), // Sakha
    (0x201a, 0x0419), // Bosnian, Cyrillic
    (0x0843, 0x0419), // Uzbek, Cyrillic
    (0x0443, 0x041f), // Uzbek, Latin: 1254
    (0x0480, 0x0401), // Uyghur: 1256
    (0x048c, 0x0401), // Dari
    (0x0463, 0x0401), // Pashto
    (0x0827, 0x0426), // Lithuanian, classic: 1257
    (0x1404, 0x0404), // Chinese, Macao: 950
];

/// Looks up the encoding of a column's text.
pub(crate) fn of(encoding: EncodingType) -> Option<ResolvedEncoding> {
    let EncodingType::LcidBased(mut collation) = encoding else {
        return encoding.resolved_encoding();
    };
    if collation.sort_id == 0 {
        let language = collation.info & LANGUAGE;
        let stand_in = STAND_INS.iter().find(|(known, _)| *known == language);
        let language = stand_in.map_or(language, |(_, other)| *other);
        collation.info = collation.info & !(ORDER | LANGUAGE) | language;
        collation.lcid_language_id = i32::try_from(language).unwrap_or_default();
    }
    EncodingType::LcidBased(collation).resolved_encoding()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mssql_tds::token::tokens::SqlCollation;

    /// Text is decoded by the code page of its language. The bytes are from Python's codecs.
    #[test]
    fn texts_are_read_by_their_languages_code_page() {
        for (language, bytes, expected) in [
            (0x0409, &b"\xe4"[..], "ä"),
            (0x2_0804, b"\xd6\xd0\xce\xc4", "中文"),
            (0x3_0404, b"\xa4\xa4\xa4\xe5", "中文"),
            (0x2_1404, b"\xa4\xa4\xa4\xe5", "中文"),
            (0x1_0411, b"\x93\xfa\x96{", "日本"),
            (0x1_0412, b"\xc7\xd1\xb1\xdb", "한글"),
            (0x1_040e, b"\xf5\xfb", "őű"),
            (0x0827, b"\xe0\xe8", "ąč"),
            (0x081a, b"\xe8\x9e", "čž"),
            (0x0485, b"\xdf\xea\xf3\xf2", "Якут"),
            (0x041e, b"\xa1", "ก"),
        ] {
            let bytes_of = |info: u32| [&info.to_le_bytes()[..], &[0]].concat();
            let collation = SqlCollation::try_from(&bytes_of(language)[..]).expect("five bytes");
            let page = of(EncodingType::LcidBased(collation)).expect("known");
            let (text, has_errors) = page.decode_without_bom_handling(bytes);
            assert_eq!((&*text, has_errors), (expected, false), "{language:#x}");
        }
    }
}
