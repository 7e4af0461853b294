//! The routes: which path is which, its methods, and who may call them. The one router of both hosts.

use http::Method;

/// A matched path, with its parameters as they stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Sessions { fingerprint: &'a str },
    Session { fingerprint: &'a str, guest: &'a str },
    Renew { fingerprint: &'a str, guest: &'a str },
    Revocations,
    Revocation { guest: &'a str },
    RetryRevocation { guest: &'a str },
    Sweep,
    Stats,
    Metrics,
    Healthz,
    Readyz,
    OpenApi,
}

/// What a request asks for: a route with one of its methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Issue,
    List,
    EndAll,
    End,
    Renew,
    Revocations,
    Retry,
    Abandon,
    Sweep,
    Stats,
    Metrics,
    Healthz,
    Readyz,
    OpenApi,
}

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Anyone,
    Site,
    Guest,
    GuestOrOperator,
    Operator,
}

impl Call {
    pub(super) const fn caller(self) -> Caller {
        match self {
            Self::Issue => Caller::Site,
            Self::Renew => Caller::Guest,
            Self::End => Caller::GuestOrOperator,
            Self::Healthz | Self::Readyz | Self::OpenApi => Caller::Anyone,
            Self::List
            | Self::EndAll
            | Self::Revocations
            | Self::Retry
            | Self::Abandon
            | Self::Sweep
            | Self::Stats
            | Self::Metrics => Caller::Operator,
        }
    }
}

impl<'a> Route<'a> {
    /// The route of a path, as it was sent: nothing is decoded, and dot segments are no route.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if path.split('/').any(is_dot_segment) {
            return None;
        }
        let mut segments = path.split('/');
        let parts = [(); 6].map(|()| segments.next());
        if segments.next().is_some() {
            return None;
        }
        Some(match parts {
            [Some("v1"), Some("devices"), Some(fingerprint), Some("sessions"), None, _] => {
                Self::Sessions { fingerprint }
            }
            [
                Some("v1"),
                Some("devices"),
                Some(fingerprint),
                Some("sessions"),
                Some(guest),
                None,
            ] => Self::Session { fingerprint, guest },
            [
                Some("v1"),
                Some("devices"),
                Some(fingerprint),
                Some("sessions"),
                Some(guest),
                Some("renew"),
            ] => Self::Renew { fingerprint, guest },
            [Some("v1"), Some("revocations"), None, ..] => Self::Revocations,
            [Some("v1"), Some("revocations"), Some(guest), None, ..] => Self::Revocation { guest },
            [Some("v1"), Some("revocations"), Some(guest), Some("retry"), None, _] => {
                Self::RetryRevocation { guest }
            }
            [Some("v1"), Some("sweep"), None, ..] => Self::Sweep,
            [Some("v1"), Some("stats"), None, ..] => Self::Stats,
            [Some("metrics"), None, ..] => Self::Metrics,
            [Some("healthz"), None, ..] => Self::Healthz,
            [Some("readyz"), None, ..] => Self::Readyz,
            [Some("openapi.json"), None, ..] => Self::OpenApi,
            _ => return None,
        })
    }

    /// The path with its parameters' names, for logs and metrics.
    pub(super) const fn template(self) -> &'static str {
        match self {
            Self::Sessions { .. } => "/v1/devices/{fingerprint}/sessions",
            Self::Session { .. } => "/v1/devices/{fingerprint}/sessions/{guestId}",
            Self::Renew { .. } => "/v1/devices/{fingerprint}/sessions/{guestId}/renew",
            Self::Revocations => "/v1/revocations",
            Self::Revocation { .. } => "/v1/revocations/{guestId}",
            Self::RetryRevocation { .. } => "/v1/revocations/{guestId}/retry",
            Self::Sweep => "/v1/sweep",
            Self::Stats => "/v1/stats",
            Self::Metrics => "/metrics",
            Self::Healthz => "/healthz",
            Self::Readyz => "/readyz",
            Self::OpenApi => "/openapi.json",
        }
    }

    /// The methods and what they ask for. HEAD is GET without the body.
    pub(super) const fn calls(self) -> &'static [(Method, Call)] {
        match self {
            Self::Sessions { .. } => &[
                (Method::GET, Call::List),
                (Method::POST, Call::Issue),
                (Method::DELETE, Call::EndAll),
            ],
            Self::Session { .. } => &[(Method::DELETE, Call::End)],
            Self::Renew { .. } => &[(Method::POST, Call::Renew)],
            Self::Revocations => &[(Method::GET, Call::Revocations)],
            Self::Revocation { .. } => &[(Method::DELETE, Call::Abandon)],
            Self::RetryRevocation { .. } => &[(Method::POST, Call::Retry)],
            Self::Sweep => &[(Method::POST, Call::Sweep)],
            Self::Stats => &[(Method::GET, Call::Stats)],
            Self::Metrics => &[(Method::GET, Call::Metrics)],
            Self::Healthz => &[(Method::GET, Call::Healthz)],
            Self::Readyz => &[(Method::GET, Call::Readyz)],
            Self::OpenApi => &[(Method::GET, Call::OpenApi)],
        }
    }

    pub(super) fn call(self, method: &Method) -> Option<Call> {
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        self.calls().iter().find(|(method, _)| method == wanted).map(|(_, call)| *call)
    }

    /// The methods, as an `Allow` header lists them.
    pub(super) fn allow(self) -> String {
        let mut methods = Vec::new();
        for (method, _) in self.calls() {
            methods.push(method.as_str());
            if *method == Method::GET {
                methods.push("HEAD");
            }
        }
        methods.join(", ")
    }
}

/// `.` and `..`, also as URL parsers read them.
fn is_dot_segment(segment: &str) -> bool {
    segment.starts_with(['.', '%'])
        && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

#[cfg(test)]
impl Route<'static> {
    /// One of each route, for tests that go through all of them.
    pub(super) fn each() -> impl Iterator<Item = Self> {
        let first = Self::Sessions { fingerprint: "device-1" };
        std::iter::successors(Some(first), |route| route.next())
    }

    /// A new route does not compile until it has its place here.
    const fn next(self) -> Option<Self> {
        Some(match self {
            Self::Sessions { fingerprint } => Self::Session { fingerprint, guest: "guest-1" },
            Self::Session { fingerprint, guest } => Self::Renew { fingerprint, guest },
            Self::Renew { .. } => Self::Revocations,
            Self::Revocations => Self::Revocation { guest: "guest-1" },
            Self::Revocation { guest } => Self::RetryRevocation { guest },
            Self::RetryRevocation { .. } => Self::Sweep,
            Self::Sweep => Self::Stats,
            Self::Stats => Self::Metrics,
            Self::Metrics => Self::Healthz,
            Self::Healthz => Self::Readyz,
            Self::Readyz => Self::OpenApi,
            Self::OpenApi => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn paths_are_matched_whole() {
        let sessions = Route::Sessions { fingerprint: "device-1" };
        assert_eq!(Route::of("/v1/devices/device-1/sessions"), Some(sessions));
        assert_eq!(
            Route::of("/v1/devices/device-1/sessions/g/renew"),
            Some(Route::Renew { fingerprint: "device-1", guest: "g" })
        );
        for nothing in [
            "",
            "/",
            "/v1",
            "/v1/devices",
            "/v1/devices/device-1",
            "/v1/devices/device-1/sessions/",
            "/v1/devices/device-1/sessions/g/renew/",
            "/v1/devices/device-1/sessions/g/other",
            "/v1/sweep/",
            "//v1/sweep",
            "/V1/sweep",
            "/healthz/x",
            "/v1/revocations/g/retry/x",
        ] {
            let route = Route::of(nothing);
            let has_empty_parameter = matches!(route, Some(Route::Session { guest: "", .. }));
            assert!(route.is_none() || has_empty_parameter, "{nothing}: {route:?}");
        }
    }

    #[test]
    fn dot_segments_are_no_route() {
        for path in [
            "/v1/devices/../sessions",
            "/v1/devices/device-1/sessions/..",
            "/v1/devices/./sessions",
            "/v1/devices/%2e%2E/sessions",
            "/v1/devices/device-1/sessions/.%2e",
            "/./healthz",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn allow_lists_every_method() {
        assert_eq!(Route::Sessions { fingerprint: "x" }.allow(), "GET, HEAD, POST, DELETE");
        assert_eq!(Route::Sweep.allow(), "POST");
        assert_eq!(Route::Healthz.call(&Method::HEAD), Some(Call::Healthz));
        assert_eq!(Route::Sweep.call(&Method::HEAD), None);
    }
}
