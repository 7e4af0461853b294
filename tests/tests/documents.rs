//! What THREAT_MODEL.md and TESTING.md name must exist: tests by function or file, scripts and documents by path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all functions and modules of the workspace's Rust files.
fn names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in folder.read_dir().unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            names(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
            found.extend(folder.file_name().and_then(|name| name.to_str()).map(str::to_owned));
            let text = std::fs::read_to_string(&path).unwrap();
            for keyword in ["fn ", "mod "] {
                found.extend(text.split(keyword).skip(1).filter_map(|rest| {
                    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
                    rest.get(..end).map(str::to_owned)
                }));
            }
        }
    }
}

#[test]
fn what_the_documents_name_exists() {
    let mut known = BTreeSet::new();
    for folder in ["core/src", "native-server/src", "edge-worker", "genesys-sim", "tests"] {
        names(&root().join(folder), &mut known);
    }
    let mut checked = 0;
    for document in ["THREAT_MODEL.md", "TESTING.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let word = quoted.rsplit(' ').next().unwrap_or_default();
            if word.contains("::") {
                for segment in word.split("::").filter(|segment| *segment != "…") {
                    assert!(known.contains(segment), "{document} names {quoted}: no {segment}");
                }
                checked += 1;
            } else if word.starts_with("scripts/") || word.ends_with(".mjs") && !word.contains('…')
            {
                assert!(
                    root().join(word).exists(),
                    "{document} names {word}, which does not exist"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "only {checked} names were found");
}
