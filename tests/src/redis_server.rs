//! A real redis-server that a test starts, stops, pauses and kills.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use guestpass_core::config::RedisTarget;
use guestpass_core::secret::Secret;
use redis::{FromRedisValue, ToRedisArgs};

use crate::real_time::wait_for;

/// How long a server may take to start or stop, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs redis-server and kills it when its own standard input ends, so that no server outlives the tests,
/// however they end. Arguments: the server's directory, then what redis-server is to be given.
const GUARD: &str = r#"dir=$1; shift
redis-server "$@" >"$dir/log" 2>&1 &
echo $!
read -r _
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
test -e "$dir/keep" || rm -rf "$dir""#;

/// A running (or killed, and to be restarted) redis-server with a directory of its own.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    dir: PathBuf,
    options: Vec<String>,
    guard: Option<Guard>,
}

#[derive(Debug)]
struct Guard {
    shell: Child,
    redis_pid: String,
}

impl Guard {
    fn end(mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("the guard of redis-server cannot be waited for");
    }
}

impl RedisServer {
    /// Starts a server that persists nothing.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server whose append-only file is synced at every write.
    #[must_use]
    pub fn start_appendonly() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Starts a server with further options.
    ///
    /// # Panics
    /// When there is no redis-server on PATH, or it does not start.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        for _ in 0..5 {
            let mut server = Self {
                port: free_port(),
                dir: fresh_dir(),
                options: options.iter().map(|&option| option.to_owned()).collect(),
                guard: None,
            };
            // Somebody else may have taken the port since: then try another.
            if server.spawn() {
                return server;
            }
        }
        panic!("redis-server does not start on any port");
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its URL as the configuration has it.
    #[must_use]
    pub fn target(&self) -> RedisTarget {
        RedisTarget::Single(Secret::new(self.url()))
    }

    /// Kills it and starts it again on the same port with the same directory.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill_hard();
        wait_for("redis-server starts again", PATIENCE, || self.spawn().then_some(()));
    }

    /// Kills it as SIGKILL does, and waits until it is gone.
    ///
    /// # Panics
    /// When its directory cannot be marked.
    pub fn kill_hard(&mut self) {
        if let Some(guard) = self.guard.take() {
            std::fs::write(self.dir.join("keep"), "")
                .expect("redis-server's directory is not writable");
            guard.end();
        }
    }

    /// Stops it from running (SIGSTOP), with its connections open.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it run again after [`Self::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Runs one command over a connection of its own.
    ///
    /// # Panics
    /// When it fails or its reply is of another type.
    pub fn query<T: FromRedisValue>(&self, command: &[impl ToRedisArgs]) -> T {
        self.try_query(command).unwrap_or_else(|error| panic!("redis-server: {error}"))
    }

    /// Runs one command over a connection of its own.
    ///
    /// # Errors
    /// What the server or the connection says.
    pub fn try_query<T: FromRedisValue>(
        &self,
        command: &[impl ToRedisArgs],
    ) -> redis::RedisResult<T> {
        let mut cmd = redis::Cmd::new();
        for part in command {
            cmd.arg(part);
        }
        let client = redis::Client::open(self.url())?;
        let ask = || cmd.query(&mut client.get_connection_with_timeout(PATIENCE)?);
        // Signals of children that end interrupt blocking calls.
        let is_interrupted = |error: &redis::RedisError| {
            error.is_io_error() && error.to_string().contains("Interrupted")
        };
        std::iter::repeat_with(ask)
            .find(|answer| !matches!(answer, Err(error) if is_interrupted(error)))
            .unwrap_or_else(|| unreachable!("it repeats until there is an answer"))
    }

    fn signal(&self, name: &str) {
        let guard = self.guard.as_ref().expect("redis-server is not running");
        let status = Command::new("kill").args([&format!("-{name}"), &guard.redis_pid]).status();
        assert!(status.expect("no kill command").success(), "kill -{name} failed");
    }

    /// Whether the server came up; panics where that can never be.
    fn spawn(&mut self) -> bool {
        let mut shell = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&self.dir)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no", "--dir"])
            .arg(&self.dir)
            .args(&self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("no sh to run redis-server with");
        let mut redis_pid = String::new();
        let stdout = shell.stdout.take().expect("the guard's output is piped");
        BufReader::new(stdout)
            .read_line(&mut redis_pid)
            .expect("the guard says redis-server's pid");
        let guard = Guard { shell, redis_pid: redis_pid.trim().to_owned() };
        let up = wait_for("redis-server answers PING", PATIENCE, || {
            let pid_now: redis::RedisResult<String> = self.try_query(&["INFO", "server"]);
            match pid_now {
                // Not our own process: another server has the port.
                Ok(info) => Some(info.contains(&format!("process_id:{}\r", guard.redis_pid))),
                Err(_) if Path::new("/proc").join(&guard.redis_pid).join("exe").exists() => None,
                Err(_) => Some(false),
            }
        });
        if up {
            self.guard = Some(guard);
        } else {
            let log =
                std::fs::read_to_string(self.dir.join("log")).unwrap_or_else(|e| e.to_string());
            assert!(
                !log.contains("not found"),
                "redis-server must be on PATH for these tests: {log}"
            );
            guard.end();
        }
        up
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            drop(std::fs::remove_file(self.dir.join("keep")));
            guard.end();
        } else {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }
}

/// A port that nobody listens on.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    // Two tests that got the same one at the same time would take one's server for the other's.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("no free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

fn fresh_dir() -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let n = MADE.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("guestpass-redis-{}-{n}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&dir).expect("no temporary directory to be had");
    dir
}
