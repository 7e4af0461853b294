//! The corpus of `fuzz/`, and mutations of it under a fixed seed, on stable Rust. `FUZZ_MUTATIONS` is how many of
//! each input; `./scripts/fuzz` does the real search.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use guestpass_fuzz_cases::{TARGETS, Target};

const MUTATIONS: u64 = 60;

/// What libFuzzer's dictionaries would have: texts that matter to some target.
const WORDS: [&str; 16] = [
    "\n%%\n",
    "\n\n",
    ": ",
    "Bearer ",
    "{\"",
    "\":",
    "[[",
    "null",
    "-1",
    "99999999999999999999",
    "%2e",
    "..",
    "\r\n",
    "\0",
    "\u{fffd}",
    "é",
];

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort_unstable();
    files
}

/// splitmix64
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides.max(1) as u64).expect("fewer than usize")
    }

    fn mutate(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut data = input.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(data.len() + 1);
            let end = (at + self.roll(24)).min(data.len());
            match self.roll(6) {
                0 if at < data.len() => data[at] ^= 1 << self.roll(8),
                1 => drop(data.drain(at..end)),
                2 => {
                    let part = data[at..end].to_vec();
                    data.splice(at..at, part.repeat(1 + self.roll(40)));
                }
                3 => drop(data.splice(at..at, WORDS[self.roll(WORDS.len())].bytes())),
                4 => drop(data.splice(at..end, other[self.roll(other.len() + 1)..].to_vec())),
                _ => data.insert(at, u8::try_from(self.roll(256)).expect("a byte")),
            }
            data.truncate(1 << 16);
        }
        data
    }
}

fn run(name: &str, target: Target, what: &str, data: &[u8]) {
    if catch_unwind(|| target(data)).is_err() {
        panic!("{name}, {what}: {}", data.escape_ascii());
    }
}

#[test]
fn the_corpus_and_mutations_of_it_break_no_promise() {
    let asked = std::env::var("FUZZ_MUTATIONS").ok().map(|text| text.parse().expect("a number"));
    let mut ran = 0_u64;
    for (name, target) in TARGETS {
        let inputs: Vec<_> = corpus(name)
            .iter()
            .map(|path| (path.display().to_string(), std::fs::read(path).expect("readable")))
            .collect();
        assert!(inputs.len() >= 3, "{name}: {} inputs", inputs.len());
        let mut dice = Dice(7);
        for (path, data) in &inputs {
            run(name, target, path, data);
            for number in 0..asked.unwrap_or(MUTATIONS) {
                let (_, other) = &inputs[dice.roll(inputs.len())];
                let mutated = dice.mutate(data, other);
                run(name, target, &format!("mutation {number} of {path}"), &mutated);
                ran += 1;
            }
        }
        run(name, target, "nothing", b"");
    }
    println!("{ran} mutations");
}

#[test]
fn every_target_has_its_binary() {
    for (name, _) in TARGETS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../fuzz/fuzz_targets/{name}.rs"));
        let source =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(source.contains(&format!("guestpass_fuzz_cases::{name}(data)")), "{path:?}");
    }
}
