//! A server as a process of its own, which ends with the tests however they end.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::wait::{ms, within};

/// Kills a process when its own standard input ends.
const LEASH: &str = r#"read -r _; kill -9 "$1""#;

/// A process that runs until it is dropped.
pub(crate) struct Process {
    pid: u32,
    child: Child,
    leash: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts one. Its errors go to the log; what it writes otherwise is the caller's to read.
    pub(crate) fn start(command: &mut Command) -> (Self, ChildStdout) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.kill_on_drop(true).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = child.id().expect("it has just been started");
        let leash = Command::new("sh")
            .args(["-c", LEASH, "leash", &pid.to_string()])
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let leash = leash.expect("there is a shell");
        let output = child.stdout.take().expect("it is piped");
        let errors = child.stderr.take().expect("it is piped");
        let process = Self { pid, child, leash, log: Arc::default() };
        process.keep(errors);
        (process, output)
    }

    /// Keeps what is written to this stream in the log.
    pub(crate) fn keep(&self, stream: impl AsyncRead + Send + Unpin + 'static) {
        let log = self.log.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// All that it has written so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_some()
    }

    /// Sends it a signal, by its name without SIG.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).status();
        assert!(kill.await.expect("there is a kill").success(), "kill -{name}");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = within(ms(15_000), self.child.wait()).await;
        let status = status.expect("it ends in time").expect("a child can be waited for");
        self.leash.start_kill().expect("the leash can be ended");
        status
    }

    /// Ends it as SIGKILL does.
    pub(crate) async fn kill(mut self) {
        self.signal("KILL").await;
        self.ended().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The leash first: its process id must not be another's when it is used.
        let _ = self.leash.start_kill();
        let _ = self.child.start_kill();
    }
}
