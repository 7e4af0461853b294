//! Which call a method and a path make.

use http::Method;

use crate::ledger::CallKind;

/// A call, as its request line tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Token,
    Create,
    Invalidate(String),
    WrongMethod,
    Unknown,
}

impl Route {
    /// Every call that exists is a POST.
    pub(crate) fn of(guests_path: &str, method: &Method, path: &str) -> Self {
        let route = if path == "/oauth/token" {
            Self::Token
        } else if let Some(rest) = path.strip_prefix(guests_path) {
            match rest.strip_prefix('/').map(|rest| rest.split_once('/')) {
                None if rest.is_empty() => Self::Create,
                Some(Some((id, "invalidate"))) if !id.is_empty() => Self::Invalidate(id.to_owned()),
                _ => Self::Unknown,
            }
        } else {
            Self::Unknown
        };
        if route != Self::Unknown && method != Method::POST {
            return Self::WrongMethod;
        }
        route
    }

    /// The kind it is recorded as.
    pub(crate) fn kind(&self) -> CallKind {
        match self {
            Self::Token => CallKind::Token,
            Self::Create => CallKind::Create,
            Self::Invalidate(_) => CallKind::Invalidate,
            Self::WrongMethod | Self::Unknown => CallKind::Other,
        }
    }
}
