//! Reads who may use Redis through the origin, and for what.

use super::read::Reader;
use super::{HostKind, RestCommands, RestDoor, StoreTarget};
use crate::http::access::is_token;
use crate::secret::Secret;

impl Reader<'_> {
    /// The REST door of the origin; the edge is on its other side.
    pub(super) fn rest_door(&mut self, host: HostKind, store: &StoreTarget) -> Option<RestDoor> {
        if host == HostKind::Edge {
            return None;
        }
        let token = self.text("REDIS_REST_TOKEN");
        let choices = [("scripts", RestCommands::Scripts), ("all", RestCommands::All)];
        let has_commands = self.text("REDIS_REST_COMMANDS").is_some();
        let commands = self.choice("REDIS_REST_COMMANDS", &choices, RestCommands::Scripts);
        let Some(token) = token else {
            if has_commands {
                self.warn("REDIS_REST_COMMANDS does nothing without REDIS_REST_TOKEN");
            }
            return None;
        };
        if !is_token(&token) {
            self.mistake("REDIS_REST_TOKEN", "must be visible ASCII characters without spaces");
        }
        if !matches!(store, StoreTarget::Redis(_)) && !self.is_wrong("REDIS_URL") {
            self.mistake(
                "REDIS_REST_TOKEN",
                "needs REDIS_URL: it opens that Redis to REST callers",
            );
        }
        if commands == RestCommands::All {
            self.warn(
                "REDIS_REST_COMMANDS is all: whoever has REDIS_REST_TOKEN may read and change everything in that Redis",
            );
        }
        Some(RestDoor { token: Secret::new(token), commands })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Mistakes};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn parse(host: HostKind, variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
        let known = [
            ("GENESYS_REGION", "mypurecloud.com"),
            ("GENESYS_CLIENT_ID", "id"),
            ("GENESYS_CLIENT_SECRET", "secret"),
        ];
        let variable = |name: &str| {
            let all = variables.iter().chain(&known);
            Ok(all.filter(|(is, _)| *is == name).map(|(_, value)| (*value).to_owned()).next())
        };
        Config::parse(host, &variable)
    }

    const REDIS: (&str, &str) = ("REDIS_URL", "redis://127.0.0.1");

    fn door(variables: &[(&str, &str)]) -> Option<(String, RestCommands)> {
        let door = parse(HostKind::Origin, variables).unwrap().rest_door?;
        Some((door.token.expose().to_owned(), door.commands))
    }

    fn mistakes(variables: &[(&str, &str)]) -> String {
        parse(HostKind::Origin, variables).unwrap_err().to_string()
    }

    #[test]
    fn a_token_opens_the_door_for_scripts_unless_more_is_asked_for() {
        let token = ("REDIS_REST_TOKEN", "s3cret");
        assert_eq!(door(&[REDIS]), None);
        assert_eq!(door(&[REDIS, token]), Some(("s3cret".to_owned(), RestCommands::Scripts)));
        let all = ("REDIS_REST_COMMANDS", "all");
        assert_eq!(door(&[REDIS, token, all]), Some(("s3cret".to_owned(), RestCommands::All)));
        assert_eq!(door(&[REDIS, all]), None);
    }

    #[test]
    fn a_door_without_a_redis_behind_it_is_a_mistake() {
        let text = mistakes(&[("REDIS_REST_TOKEN", "s3cret")]);
        assert!(text.starts_with("REDIS_REST_TOKEN: needs REDIS_URL"), "{text}");
        let text = mistakes(&[("REDIS_REST_TOKEN", "s3cret"), ("REDIS_URL", "localhost")]);
        assert!(text.starts_with("REDIS_URL: ") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn a_token_that_no_header_can_carry_and_an_unknown_mode_are_mistakes_without_values() {
        let text =
            mistakes(&[REDIS, ("REDIS_REST_TOKEN", "two words"), ("REDIS_REST_COMMANDS", "some")]);
        assert!(text.contains("REDIS_REST_COMMANDS: must be one of scripts, all"), "{text}");
        assert!(text.contains("REDIS_REST_TOKEN: must be visible ASCII"), "{text}");
        assert!(!text.contains("two words") && !text.contains("some\n"), "{text}");
    }

    #[test]
    fn the_edge_has_no_door() {
        let config = parse(
            HostKind::Edge,
            &[
                ("UPSTASH_REDIS_REST_URL", "https://redis.example"),
                ("UPSTASH_REDIS_REST_TOKEN", "token"),
                ("REDIS_REST_TOKEN", "s3cret"),
            ],
        );
        assert!(config.unwrap().rest_door.is_none());
    }
}
