//! Whether Redis can be reached over REST and runs what the store needs.

use guestpass_core::config::Config;
use guestpass_core::seams::{Clock as _, SessionStore as _, StoreFault};
use guestpass_core::secret::Secret;
use guestpass_core::store::ops::At;

use super::Finding;
use crate::clock::SystemClock;
use crate::serve::upstash_store;

const REACHED: &str = "Redis over REST";

pub(super) async fn check(
    config: &Config,
    url: &str,
    token: &Secret,
    tell: &mut impl FnMut(Finding),
) {
    let store = match upstash_store(config, url, token) {
        Ok(store) => store,
        Err(error) => {
            let remedy =
                "check UPSTASH_REDIS_REST_TOKEN, and that this system has root certificates";
            return tell(Finding::failed(REACHED, error, remedy));
        }
    };
    let at = At { now: SystemClock.now(), limits: &config.limits };
    match store.cool_down(at, None).await {
        Ok(_) => tell(Finding::ok(REACHED, "reached; a script ran in every shard")),
        Err(fault) => tell(Finding::failed(REACHED, fault.to_string(), remedy(&fault))),
    }
}

fn remedy(fault: &StoreFault) -> &'static str {
    let text = fault.to_string();
    let has = |word: &str| text.contains(word);
    match fault {
        StoreFault::Refused(_) if has("UPSTASH_REDIS_REST_TOKEN") => {
            "copy the token anew: the REST token of the database at Upstash (not the read-only one), or \
             REDIS_REST_TOKEN of the origin that serves /redis"
        }
        StoreFault::Refused(_) if has("none of this guestpass's own") => {
            "the origin behind UPSTASH_REDIS_REST_URL runs another version of guestpass: run the same one"
        }
        StoreFault::Refused(_) if has("NOPERM") => {
            "the token, or the Redis user behind the service, may not run scripts: use a token with all rights"
        }
        StoreFault::Refused(_) if has("rate limited") => {
            "the service is past a limit of its plan; see its console"
        }
        StoreFault::Refused(_) if has("answered 404") || has("answered 405") => {
            "nothing speaks Redis at that URL: check UPSTASH_REDIS_REST_URL (at an origin of guestpass it ends in \
             /redis, and REDIS_REST_TOKEN is set there)"
        }
        StoreFault::Refused(_) => "the service must run Lua scripts and accept writes",
        StoreFault::Unreachable(_) if has("answered 5") => {
            "the service runs but cannot reach its Redis, or has a problem of its own; see its logs"
        }
        StoreFault::Unreachable(_) | StoreFault::Lost(_) => {
            "check that this machine can reach UPSTASH_REDIS_REST_URL (name resolution, outbound port, firewall; \
             proxies are not used) and trusts its certificate"
        }
        StoreFault::Unreadable(_) => {
            "what answers at UPSTASH_REDIS_REST_URL does not speak the Upstash REST protocol"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_remedy_names_what_to_change() {
        let refused = |text: &str| remedy(&StoreFault::Refused(text.to_owned()));
        assert!(
            refused("the REST service refuses UPSTASH_REDIS_REST_TOKEN")
                .contains("REDIS_REST_TOKEN of the origin")
        );
        assert!(refused("the REST service answered 404").contains("/redis"));
        assert!(refused("NOPERM this user has no permissions").contains("rights"));
        let version = "NOPERM this script is none of this guestpass's own (is another version running elsewhere?)";
        assert!(refused(version).contains("the same one"));
        let away = StoreFault::Unreachable("connection refused".to_owned());
        assert!(remedy(&away).contains("reach UPSTASH_REDIS_REST_URL"));
    }
}
