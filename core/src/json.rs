//! JSON strings. What else is written as JSON, serde_json writes.

use std::fmt::Write as _;

/// Appends `text` as a JSON string. A guest token is nearly all of what an issue writes as JSON, twice, and has
/// nothing to escape.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    // Without an early end, many bytes are compared at a time.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & !must_escape(byte));
    if is_plain {
        out.push_str(text);
    } else {
        for character in text.chars() {
            match u8::try_from(character) {
                Ok(byte) if must_escape(byte) => {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{byte:04x}");
                }
                _ => out.push(character),
            }
        }
    }
    out.push('"');
}

const fn must_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::push_string;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_written_is_read_back() {
        let every: String = (0..0x300).filter_map(char::from_u32).collect();
        for text in ["", "plain", "\"", "a\\b", "\u{0}\u{1f} \u{7f}\u{80}é\u{10ffff}", &every] {
            let mut json = String::from("[");
            push_string(&mut json, text);
            json.push(']');
            let read: Vec<String> = serde_json::from_str(&json).unwrap();
            assert_eq!(read, [text]);
        }
    }
}
