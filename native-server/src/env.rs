//! Variables from the environment, or from the file that `NAME_FILE` names. What a variable means is
//! decided in `guestpass_core::config`, not here.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The longest value that is read from a file, in bytes.
const LONGEST_VALUE: u64 = 1 << 20;

/// The value of the variable `name`: from the environment, or from the file that `{name}_FILE` names.
///
/// # Errors
/// What is wrong, in words that follow the variable's name; never a value.
pub fn variable(name: &str) -> Result<Option<String>, String> {
    look_up(name, &|name| std::env::var_os(name), &read)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_VALUE).read_to_string(&mut text)?;
    Ok(text)
}

fn look_up(
    name: &str,
    environment: &dyn Fn(&str) -> Option<OsString>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Option<String>, String> {
    let value = match environment(name).map(OsString::into_string) {
        None => None,
        Some(Ok(value)) => Some(value),
        Some(Err(_)) => return Err("is not UTF-8".to_owned()),
    };
    // An empty variable is how compose files say "unset".
    let Some(path) = environment(&format!("{name}_FILE")).filter(|path| !path.is_empty()) else {
        return Ok(value);
    };
    if value.is_some_and(|value| !value.is_empty()) {
        return Err(format!("{name} and {name}_FILE are both set"));
    }
    let mut text = read(Path::new(&path))
        .map_err(|error| format!("the file that {name}_FILE names: {error}"))?;
    if text.ends_with('\n') {
        text.truncate(text.len() - 1);
        if text.ends_with('\r') {
            text.truncate(text.len() - 1);
        }
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], name: &str) -> Result<Option<String>, String> {
        let environment = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        };
        let read = |path: &Path| match path.to_str() {
            Some("/run/secrets/one") => Ok("from a file\r\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        look_up(name, &environment, &read)
    }

    #[test]
    fn a_value_comes_from_the_environment_or_from_a_file() {
        assert_eq!(with(&[], "A"), Ok(None));
        assert_eq!(with(&[("A", "")], "A"), Ok(Some(String::new())));
        assert_eq!(with(&[("A", "direct")], "A"), Ok(Some("direct".to_owned())));
        let from_file = Ok(Some("from a file".to_owned()));
        assert_eq!(with(&[("A_FILE", "/run/secrets/one")], "A"), from_file);
        assert_eq!(with(&[("A", ""), ("A_FILE", "/run/secrets/one")], "A"), from_file);
        assert_eq!(with(&[("A", "direct"), ("A_FILE", "")], "A"), Ok(Some("direct".to_owned())));
    }

    #[test]
    fn both_at_once_and_an_unreadable_file_are_mistakes_without_content() {
        let both = with(&[("A", "s3cret"), ("A_FILE", "/run/secrets/one")], "A");
        assert_eq!(both, Err("A and A_FILE are both set".to_owned()));
        let missing = with(&[("A_FILE", "/nowhere")], "A").unwrap_err();
        assert!(missing.starts_with("the file that A_FILE names: "), "{missing}");
    }

    #[test]
    fn a_real_file_is_read() {
        assert!(
            read(Path::new(env!("CARGO_MANIFEST_PATH")))
                .is_ok_and(|text| text.contains("[package]"))
        );
        assert!(read(Path::new("/")).is_err());
    }
}
