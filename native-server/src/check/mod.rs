//! The command `check`: whether this configuration works here and now, and if not, how to mend it. One file
//! for each thing that is reached.

mod genesys;
mod redis;
mod upstash;

use std::fmt::Display;
use std::process::ExitCode;

use guestpass_core::config::{Config, StoreTarget};

/// What one check found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    verdict: Verdict,
    what: &'static str,
    text: String,
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Note,
    Failed,
}

impl Finding {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, what, text: text.into(), remedy: None }
    }

    fn note(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, what, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn failed(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, what, text: text.into(), remedy: Some(remedy.into()) }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Failed => "failed",
        };
        write!(f, "{verdict:<8}{}: {}", self.what, self.text)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// The command. Each finding is printed as soon as it is known.
pub async fn command(config: Config) -> ExitCode {
    println!("{}", Finding::ok("configuration", "every variable can be read"));
    for warning in &config.warnings {
        println!("{:<8}configuration: {warning}", "note");
    }
    let mut has_failed = false;
    let mut tell = |finding: Finding| {
        has_failed |= finding.verdict == Verdict::Failed;
        println!("{finding}");
    };
    match &config.store {
        StoreTarget::Redis(target) => redis::check(&config, target, &mut tell).await,
        StoreTarget::Upstash { url, token } => {
            upstash::check(&config, url, token, &mut tell).await;
        }
        StoreTarget::Embedded => {
            tell(Finding::ok("store", "sessions are kept in memory"));
        }
    }
    genesys::check(&config, &mut tell).await;
    if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
