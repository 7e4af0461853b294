//! The scripts, one for each operation. Each source is the shared prelude and its own file.

use crate::store::script::Script;

macro_rules! scripts {
    ($($constant:ident $name:literal)*) => {
        $(
            pub(super) static $constant: Script = Script::new(
                $name,
                concat!(include_str!("scripts/prelude.lua"), include_str!(concat!("scripts/", $name, ".lua"))),
            );
        )*

        /// Every script that guestpass runs.
        pub static ALL: &[&Script] = &[$(&$constant),*];
    };
}
scripts! {
    ADMIT "admit"
    COMMIT "commit"
    ABORT "abort"
    RENEW "renew"
    END "end"
    LIST "list"
    DUE "due"
    EXPIRE "expire"
    CLAIM "claim"
    SETTLE "settle"
    REVOCATIONS "revocations"
    RETRY "retry"
    ABANDON "abandon"
    COOL_DOWN "cool_down"
    TOKEN "token"
    STATS "stats"
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_script_names_its_contract() {
        for script in ALL {
            let source = script.source();
            assert!(source.contains(&format!("-- {}: ", script.name())), "{}", script.name());
            assert!(
                source.contains("\n-- KEYS ") && source.contains("\n-- ARGV "),
                "{}",
                script.name()
            );
            assert!(source.contains("\n-- Returns "), "{}", script.name());
        }
    }

    #[test]
    fn scripts_are_told_apart_by_their_digests() {
        let mut digests: Vec<_> = ALL.iter().map(|script| script.sha1()).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), ALL.len());
        assert!(digests.iter().all(|digest| digest.len() == 40));
    }
}
