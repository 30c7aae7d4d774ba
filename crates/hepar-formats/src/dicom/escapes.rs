//! Text of several character sets, between which escape sequences switch: PS3.5 section 6.1.2.5.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::compose::{Element, text};
use crate::dicom::syntax::Syntax;

const ESCAPE: char = '\u{1b}';

/// Kanji, of two bytes each where ASCII has its letters; dicom-rs decodes the supplementary ones with them.
const KANJI: &str = "ISO 2022 IR 87";

/// What follows an escape, and the character set that it switches to, as PS3.3 C.12.1.1.2 names both; none where it
/// switches back to ASCII.
const SETS: [(&str, &str); 16] = [
    ("(B", ""),
    ("(J", ""),
    (")I", "ISO 2022 IR 13"),
    ("$B", KANJI),
    ("$(D", KANJI),
    ("$)A", "ISO 2022 IR 58"),
    ("$)C", "ISO 2022 IR 149"),
    ("-A", "ISO 2022 IR 100"),
    ("-B", "ISO 2022 IR 101"),
    ("-C", "ISO 2022 IR 109"),
    ("-D", "ISO 2022 IR 110"),
    ("-F", "ISO 2022 IR 126"),
    ("-G", "ISO 2022 IR 127"),
    ("-H", "ISO 2022 IR 138"),
    ("-L", "ISO 2022 IR 144"),
    ("-T", "ISO 2022 IR 166"),
];

/// An element as it is, or, where its text has escape sequences, which dicom-rs leaves in it, decoded without them.
pub(crate) fn decoded(element: &Element) -> Element {
    match element.to_raw_str() {
        Ok(value) if value.contains(ESCAPE) => text(element.header().tag, element.vr(), without_escapes(&value)),
        _ => element.clone(),
    }
}

/// `text`, all of which was decoded with the first of its character sets, as its escape sequences say.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split(ESCAPE);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let switch = SETS.iter().find_map(|(sequence, set)| Some((*sequence, *set, part.strip_prefix(*sequence)?)));
        whole += &match switch {
            Some((_, "", rest)) => rest.to_owned(),
            Some((sequence, set, rest)) => switched(sequence, set, rest),
            None => legible(part),
        };
    }
    whole
}

/// What follows an escape sequence, in the character set that it switches to.
fn switched(sequence: &str, set: &str, rest: &str) -> String {
    let rest = if set == KANJI { rest.trim_end() } else { rest };
    // Where the first set is ASCII or Latin-1, characters are bytes of the others; where it is none, they are decoded.
    let Some(bytes) = rest.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>() else {
        return rest.to_owned();
    };
    // The decoder of Kanji reads the sequence too. What it cannot read becomes a backslash and digits.
    let (escape, separators) = match set {
        KANJI => (format!("{ESCAPE}{sequence}"), 0),
        _ => (String::new(), rest.matches('\\').count()),
    };
    let text = in_set(set, &[escape.as_bytes(), &bytes].concat());
    match text.filter(|text| text.matches('\\').count() == separators) {
        Some(text) => text,
        None if set == KANJI => "?".to_owned(),
        None => only_ascii(rest),
    }
}

/// What is left of a text behind an escape of an unknown set: what is ASCII but for the rest of the sequence.
fn legible(part: &str) -> String {
    let rest = part.trim_start_matches(|c: char| (' '..='/').contains(&c));
    only_ascii(&rest.chars().skip(1).collect::<String>())
}

fn only_ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// Bytes as text of a character set, by the decoders of dicom-rs, which its parser alone calls.
fn in_set(set: &str, bytes: &[u8]) -> Option<String> {
    let mut data: Vec<u8> = Vec::new();
    for (Tag(group, element), value) in [(tags::SPECIFIC_CHARACTER_SET, set.as_bytes()), (tags::TEXT_VALUE, bytes)] {
        data.extend([group, element].into_iter().flat_map(u16::to_le_bytes));
        data.extend((value.len() as u32).to_le_bytes());
        data.extend(value);
    }
    let object = InMemDicomObject::read_dataset_with_ts(data.as_slice(), &Syntax::implicit().of_data_set()).ok()?;
    Some(object.get(tags::TEXT_VALUE)?.to_raw_str().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_decoded_as_their_escapes_say() {
        // Japanese and Korean examples of PS3.5 Annexes H and I, and others; bytes as Latin-1.
        for (text, expected) in [
            ("Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B", "Yamada^Tarou=山田^太郎"),
            ("ﾔﾏﾀﾞ^ﾀﾛｳ=\u{1b}$B;3ED\u{1b}(J^\u{1b}$BB@O:\u{1b}(J", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
            ("Hong^Gildong=\u{1b}$)C\u{fb}\u{f3}^\u{1b}$)C\u{d1}\u{ce}\u{d4}\u{d7}", "Hong^Gildong=洪^吉洞"),
            ("Wang^XiaoDong=\u{1b}$)A\u{cd}\u{f5}^\u{1b}$)A\u{d0}\u{a1}\u{b6}\u{ab}", "Wang^XiaoDong=王^小东"),
            ("M\u{fc}ller=\u{1b}-L\u{b8}\u{d2}\u{d0}\u{dd}", "Müller=Иван"),
            ("one\\\u{1b}$)C\u{fb}\u{f3}\\two", "one\\洪\\two"),
        ] {
            assert_eq!(without_escapes(text), expected);
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_no_escape() {
        assert_eq!(without_escapes("Y\u{1b}-Mlmaz\u{fe} \u{1b}[31mred"), "Ylmaz? 31mred");
        assert_eq!(without_escapes("Yamada=\u{1b}$B;3E"), "Yamada=?");
        assert_eq!(without_escapes("Hong=\u{1b}$)C\u{fb}^\u{1b}"), "Hong=?^");
        assert_eq!(without_escapes("김\u{1b}$)C희중"), "김희중", "decoded already");
    }
}
