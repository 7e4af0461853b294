//! Whether Genesys lets us in and lets us manage guests.

use std::time::Duration;

use guestpass_core::config::Config;
use guestpass_core::names::{GuestId, hex};
use guestpass_core::seams::{CallFault, Clock as _, FaultKind, GuestProvider, Host};

use super::Finding;
use crate::clock::SystemClock;
use crate::serve::provider;

const LOGIN: &str = "Genesys login";
const PERMISSION: &str = "Genesys permission";

/// Enough for one call; a check is made by a person who waits.
const CALL_LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn check(config: &Config, tell: &mut impl FnMut(Finding)) {
    let provider = match provider(config) {
        Ok(provider) => provider,
        Err(error) => {
            let remedy = "install the root certificates of your system (ca-certificates)";
            return tell(Finding::failed(LOGIN, error, remedy));
        }
    };
    if let Err(fault) = provider.prepare(CALL_LIMIT).await {
        return tell(Finding::failed(LOGIN, fault.to_string(), login_remedy(&fault, config)));
    }
    tell(Finding::ok(LOGIN, format!("{} gave an access token", config.genesys.login_url)));

    // Nobody has this id, so that nothing is revoked: Genesys says that it knows no such guest (which counts as
    // success), or why we may not even ask.
    let Ok(nobody) = GuestId::parse(&hex(&SystemClock.random())) else { return };
    match provider.revoke(&nobody, CALL_LIMIT).await {
        Ok(()) => {
            let found = "revoking is allowed (an unknown guest was asked for; a wrong GENESYS_GUESTS_PATH can look the \
                         same, so issue one session as well)";
            tell(Finding::ok(PERMISSION, found));
        }
        Err(fault) => {
            tell(Finding::failed(PERMISSION, fault.to_string(), permission_remedy(&fault, config)))
        }
    }
}

fn login_remedy(fault: &CallFault, config: &Config) -> String {
    match fault.kind {
        FaultKind::Status(400 | 401) => {
            "check GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET (Genesys Cloud Admin, Integrations, OAuth; grant type \
             Client Credentials), that GENESYS_REGION is the region of that organization, and that the client may \
             have the scopes in GENESYS_SCOPES"
                .to_owned()
        }
        _ => unreachable_remedy(fault, &config.genesys.login_url),
    }
}

fn permission_remedy(fault: &CallFault, config: &Config) -> String {
    match fault.kind {
        FaultKind::Status(403) => {
            "the OAuth client needs the scope messaging:guest:manage in GENESYS_SCOPES and a role that may manage \
             messaging guests: add it in Genesys Cloud Admin, Integrations, OAuth, the client, Roles"
                .to_owned()
        }
        FaultKind::Status(401) => {
            "the API does not know the login's access token: check that GENESYS_REGION (or GENESYS_LOGIN_URL and \
             GENESYS_API_URL) name one and the same region"
                .to_owned()
        }
        FaultKind::Status(404 | 405) => {
            "that answer is not one of Genesys Cloud: check GENESYS_API_URL and GENESYS_GUESTS_PATH".to_owned()
        }
        _ => unreachable_remedy(fault, &config.genesys.api_url),
    }
}

fn unreachable_remedy(fault: &CallFault, url: &str) -> String {
    match (&fault.kind, fault.host) {
        (FaultKind::Status(429), _) => "Genesys asks to be left alone; try again later".to_owned(),
        (FaultKind::Status(500..), _) => "Genesys has a problem; try again later".to_owned(),
        (FaultKind::Status(_) | FaultKind::Unreadable(_), Host::Login) => {
            format!("check that {url} is the login host of Genesys Cloud")
        }
        (FaultKind::Status(_) | FaultKind::Unreadable(_), Host::Api) => {
            format!("check that {url} is the API host of Genesys Cloud")
        }
        (FaultKind::NotSent(_) | FaultKind::Broken(_) | FaultKind::TimedOut, _) => format!(
            "check that this machine can reach {url} (name resolution, outbound port, firewall; proxies are not used) \
             and trusts its certificate"
        ),
    }
}
