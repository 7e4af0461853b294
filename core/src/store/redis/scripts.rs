//! The scripts, one for each operation. Each source is what it uses of the shared functions, and its own file.
//! Redis runs all of a source at each call, and makes its functions anew: none has more than it needs, and what is
//! between `on_demand_begin` and `on_demand_end` is made when some of it is needed.

use crate::store::script::Script;

macro_rules! scripts {
    ($($constant:ident $name:literal [$($shared:literal)*])*) => {
        $(
            pub(super) static $constant: Script = Script::new(
                $name,
                concat!(
                    $(include_str!(concat!("scripts/shared/", $shared, ".lua")), "\n",)*
                    include_str!(concat!("scripts/", $name, ".lua"))
                ),
            );
        )*

        /// Every script that guestpass runs.
        pub static ALL: &[&Script] = &[$(&$constant),*];
    };
}
scripts! {
    ADMIT "admit" ["base" "on_demand_begin" "names" "json" "sessions" "filing" "expiry" "gather" "on_demand_end"]
    COMMIT "commit" ["base" "on_demand_begin" "names" "json" "sessions" "filing" "expiry" "gather" "on_demand_end"]
    ABORT "abort" ["base" "full" "names" "json" "sessions" "filing" "expiry" "gather"]
    RENEW "renew" ["base" "full" "names" "json" "sessions" "filing" "expiry" "gather" "proof"]
    END "end" ["base" "full" "names" "json" "sessions" "filing" "expiry" "gather" "proof"]
    LIST "list" ["base" "full" "names" "json" "sessions" "filing" "expiry" "gather"]
    DUE "due" ["base" "names"]
    EXPIRE "expire" ["base" "full" "names" "json" "sessions" "filing" "expiry"]
    CLAIM "claim" ["base" "full" "names" "json" "jobs"]
    SETTLE "settle" ["base" "full" "json" "jobs"]
    REVOCATIONS "revocations" ["base"]
    RETRY "retry" ["base" "full" "json" "jobs"]
    ABANDON "abandon" []
    COOL_DOWN "cool_down" ["base"]
    TOKEN "token" []
    STATS "stats" ["base"]
}

#[cfg(test)]
mod tests {
    use super::ALL;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

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
