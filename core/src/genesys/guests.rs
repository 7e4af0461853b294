//! The guests API: creates and invalidates guests.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, Response};
use serde::Deserialize;

use super::answer::call;
use super::oauth::OAuth;
use crate::config::Genesys;
use crate::http::access::is_token;
use crate::names::GuestId;
use crate::seams::{CallFault, Clock, FaultKind, Guest, GuestProvider, Host, HttpSend};
use crate::secret::Secret;
use crate::time::UnixMillis;

/// Guests by Genesys' guests API, with an OAuth client of grant type client credentials.
#[derive(Debug)]
pub struct GuestsApi<H, C> {
    http: H,
    clock: C,
    oauth: OAuth,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    id: Option<String>,
    guest_token: Option<String>,
}

impl<H: HttpSend, C: Clock> GuestsApi<H, C> {
    /// A client of the guests API.
    #[must_use]
    pub fn new(http: H, clock: C, config: &Genesys) -> Self {
        let url = format!("{}{}", config.api_url, config.guests_path);
        Self { http, clock, oauth: OAuth::new(config), url }
    }

    /// Sends one call with the token at hand, and forgets that token when it is refused.
    async fn call(
        &self,
        url: &str,
        body: Bytes,
        budget: Duration,
    ) -> Result<Response<Bytes>, CallFault> {
        let unauthorized = || CallFault::new(Host::Api, FaultKind::Status(401));
        let authorization = self.oauth.header(self.clock.now()).ok_or_else(unauthorized)?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(AUTHORIZATION, authorization.clone())
            .header(USER_AGENT, super::USER_AGENT);
        request = if body.is_empty() {
            request.header(CONTENT_LENGTH, "0")
        } else {
            request.header(CONTENT_TYPE, "application/json")
        };
        let request = request
            .body(body)
            .map_err(|_| CallFault::new(Host::Api, FaultKind::NotSent("not a URL".to_owned())))?;
        let outcome = call(&self.http, &self.clock, Host::Api, request, budget).await;
        if matches!(&outcome, Err(fault) if fault.kind == FaultKind::Status(401)) {
            self.oauth.discard(&authorization);
        }
        outcome
    }
}

impl<H: HttpSend, C: Clock> GuestProvider for GuestsApi<H, C> {
    async fn prepare(&self, budget: Duration) -> Result<bool, CallFault> {
        self.oauth.prepare(&self.http, &self.clock, budget).await
    }

    fn wants_token(&self, now: UnixMillis) -> bool {
        self.oauth.wants_token(now)
    }

    fn export_token(&self) -> Option<(Secret, UnixMillis)> {
        self.oauth.export()
    }

    fn import_token(&self, exported: &Secret, now: UnixMillis) -> bool {
        self.oauth.import(exported, now)
    }

    async fn create(&self, routing: Option<&str>, budget: Duration) -> Result<Guest, CallFault> {
        let body = match routing {
            None => Bytes::from_static(b"{}"),
            Some(routing) => Bytes::from([r#"{"routing":"#, routing, "}"].concat()),
        };
        let response = self.call(&self.url, body, budget).await?;
        let unreadable = |what| CallFault::unreadable(Host::Api, what);
        let created: Created = serde_json::from_slice(response.body())
            .map_err(|_| unreadable("a body that is no guest"))?;
        let id = created.id.ok_or_else(|| unreadable("a guest without an id"))?;
        let id = GuestId::parse(&id)
            .map_err(|_| unreadable("a guest whose id has other characters than expected"))?;
        match created.guest_token {
            Some(token) if is_token(&token) => Ok(Guest { id, token: Secret::new(token) }),
            _ => Err(CallFault {
                guest: Some(id),
                ..unreadable("a guest without a usable guestToken")
            }),
        }
    }

    async fn revoke(&self, guest: &GuestId, budget: Duration) -> Result<(), CallFault> {
        let url = format!("{}/{guest}/invalidate", self.url);
        match self.call(&url, Bytes::new(), budget).await {
            Ok(_) => Ok(()),
            // Genesys itself, not something in between, says that there is no such guest (any more).
            Err(fault)
                if matches!(fault.kind, FaultKind::Status(404 | 410))
                    && fault.context.is_genesys =>
            {
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }
}
