//! Short and long forms: what the environment asks for.

use guestpass_tests::wait::now_ms;

/// Whether the long form is asked for: `PROOF_LONG=1`.
pub(crate) fn is_long() -> bool {
    number("PROOF_LONG").is_some_and(|number| number > 0)
}

/// The seed of what is random: `PROOF_SEED`, or else the time. It is printed for who wants it again.
pub(crate) fn seed() -> u64 {
    let seed = number("PROOF_SEED").unwrap_or_else(now_ms);
    println!("PROOF_SEED={seed}");
    seed
}

/// A number from a variable of the environment, if it is set.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
