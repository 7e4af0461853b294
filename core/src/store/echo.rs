//! What a store says of an error, without what it repeats of the command: that could be a key, with a
//! fingerprint in it, or a token.

/// The longest text that is kept, in characters.
const LONGEST: usize = 160;

/// An error in one line, cut, with whatever it quotes left out.
#[must_use]
pub fn without_echo(error: &str) -> String {
    let mut kept = String::new();
    let mut before = ' ';
    let mut rest = error.chars();
    while let Some(c) = rest.next() {
        // An apostrophe within a word quotes nothing.
        if matches!(c, '\'' | '"' | '`') && !before.is_ascii_alphanumeric() {
            let mut inside = rest.clone();
            if inside.by_ref().any(|other| other == c) {
                rest = inside;
            } else {
                rest = "".chars();
            }
            kept.push('…');
        } else {
            kept.push(if c.is_control() { ' ' } else { c });
        }
        before = c;
    }
    kept.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_a_store_quotes_is_left_out() {
        let said = "ERR unknown command 'EVALSHA', with args beginning with: '5c1a' '9' 'msg:guest:device-1' ";
        assert_eq!(without_echo(said), "ERR unknown command …, with args beginning with: … … … ");
        let cut = "ERR unknown command `EVALSHA`, with args beginning with: `msg:guest:dev";
        assert_eq!(without_echo(cut), "ERR unknown command …, with args beginning with: …");
        let own = "NOPERM this is none of this guestpass's own scripts";
        assert_eq!(without_echo(own), own);
        assert_eq!(without_echo("OOM command\r\nnot allowed"), "OOM command  not allowed");
        assert_eq!(without_echo(&"x".repeat(3000)).len(), 160);
    }
}
