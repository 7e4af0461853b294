//! The guests API: creates and invalidates guests.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
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
    /// `url`, parsed, unless it is none.
    uri: Option<Uri>,
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
        let uri = url.parse().ok();
        Self { http, clock, oauth: OAuth::new(config), url, uri }
    }

    /// Sends one call with the token at hand, and forgets that token when it is refused.
    async fn call(
        &self,
        uri: Option<Uri>,
        body: Bytes,
        budget: Duration,
    ) -> Result<Response<Bytes>, CallFault> {
        let unauthorized = || CallFault::new(Host::Api, FaultKind::Status(401));
        let authorization = self.oauth.header(self.clock.now()).ok_or_else(unauthorized)?;
        let not_a_url = || CallFault::new(Host::Api, FaultKind::NotSent("not a URL".to_owned()));
        let is_empty = body.is_empty();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.ok_or_else(not_a_url)?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        if is_empty {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
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
        let response = self.call(self.uri.clone(), body, budget).await?;
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
        let uri = [&self.url, "/", guest.as_str(), "/invalidate"].concat().try_into().ok();
        match self.call(uri, Bytes::new(), budget).await {
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
