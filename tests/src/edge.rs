//! The edge as a process: the Worker that `npm run build` made, in workerd, over the REST door of an origin.
//! Requests go to workerd's own socket, unchanged, except that it sets `CF-Connecting-IP`, as Cloudflare does.
//! A loop plays the cron trigger.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use genesys_sim::Sim;
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::host::{Host, Launch, OPERATOR, Settings};
use crate::http_client::{Reply, Request};
use crate::origin::{keep, leash, start_pair, unused_prefix};
use crate::redis_server::RedisServer;
use crate::wait::{ms, pause, within};

/// The token of the door that [`Edge::start`] expects unless the settings name another.
pub const DOOR_TOKEN: &str = "a-token-of-the-door";

/// How often the cron trigger fires. Cloudflare's longest pause is a minute; tests do not wait that long.
const CRON_EVERY_MS: u64 = 500;

/// Where a whole run of workerd's start must have come to, on a busy machine.
const START: std::time::Duration = ms(30_000);

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A running workerd with the Worker in it.
pub struct Edge {
    /// Where it listens.
    pub addr: SocketAddr,
    cron: SocketAddr,
    pid: u32,
    child: Child,
    leash: Child,
    log: Arc<Mutex<String>>,
    ticking: Option<JoinHandle<()>>,
}

impl Edge {
    /// Starts one between this door and this simulator, with its cron trigger, and waits until it listens.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(sim: &Sim, door: &str, settings: Settings<'_>) -> Self {
        let mut edge = Self::start_without_cron(sim, door, settings).await;
        let cron = edge.cron;
        edge.ticking = Some(tokio::spawn(async move {
            loop {
                pause(ms(CRON_EVERY_MS)).await;
                // A trigger that finds nobody is followed by the next.
                let _ = Request::new("GET", "/").try_send(cron).await;
            }
        }));
        edge
    }

    /// Starts one whose cron trigger fires only on [`Self::sweep`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_without_cron(sim: &Sim, door: &str, settings: Settings<'_>) -> Self {
        let url = sim.url();
        let defaults = [
            ("GENESYS_REGION", "mypurecloud.com"),
            ("GENESYS_CLIENT_ID", "sim-client"),
            ("GENESYS_CLIENT_SECRET", "sim-secret"),
            ("GENESYS_LOGIN_URL", &url),
            ("GENESYS_API_URL", &url),
            ("UPSTASH_REDIS_REST_URL", door),
            ("UPSTASH_REDIS_REST_TOKEN", DOOR_TOKEN),
            ("OPERATOR_TOKEN", OPERATOR),
            ("RETRY_BASE_DELAY_MS", "10"),
            ("RETRY_JITTER_MS", "5"),
            ("LOG_LEVEL", "debug"),
        ];
        let mut variables = Vec::from(defaults);
        for &(name, value) in settings {
            variables.retain(|(known, _)| *known != name);
            variables.push((name, value));
        }
        let config = ConfigFile::write(&variables);
        let workerd = executable();
        let mut child = Command::new(&workerd)
            .args(["serve", "--experimental", "--control-fd=1", "--import-path", ROOT])
            .args(["--import-path", &format!("{ROOT}/node_modules")])
            .arg(&config.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", workerd.display()));
        let pid = child.id().expect("it has just been started");
        let leash = leash(pid);
        let log = Arc::new(Mutex::new(String::new()));
        keep(child.stderr.take().expect("it is piped"), log.clone());
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let ports = within(START, ports(&mut output)).await.flatten();
        let [addr, cron] = ports.unwrap_or_else(|| {
            panic!("workerd does not start: {}", log.lock().unwrap_or_else(PoisonError::into_inner))
        });
        keep(output, log.clone());
        Self { addr, cron, pid, child, leash, log, ticking: None }
    }

    /// All that the Worker has written to its console so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request.
    pub async fn send(&self, request: &Request) -> Reply {
        request.send(self.addr).await
    }

    /// Fires the cron trigger, and waits until its work is done.
    ///
    /// # Panics
    /// When the handler fails.
    pub async fn sweep(&self) {
        let outcome = Request::new("GET", "/").send(self.cron).await.expect(200);
        assert_eq!(outcome.text(), "ok", "{}", self.log());
    }

    /// Ends it as SIGKILL does.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn kill(mut self) {
        let kill = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
        assert!(kill.await.expect("there is a kill").success(), "kill -KILL");
        let ended = within(ms(15_000), self.child.wait()).await;
        ended.expect("workerd ends in time").expect("a child can be waited for");
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(ticking) = &self.ticking {
            ticking.abort();
        }
        // The leash first: its process id must not be another's when it is used.
        let _ = self.leash.start_kill();
        let _ = self.child.start_kill();
    }
}

/// The Worker over one real Redis that all hosts of this process share, each with a prefix of its own, through
/// the REST door of an origin.
pub struct OnDoor;

impl Launch for OnDoor {
    async fn start_before(&self, sim: Sim, settings: Settings<'_>) -> Host {
        static REDIS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
        static DOOR: OnceCell<String> = OnceCell::const_new();
        let door = DOOR.get_or_init(|| async {
            // It ends with this process.
            let (sim, origin) = start_pair(&door_of(&REDIS.url())).await;
            let url = door_url(origin.addr);
            std::mem::forget((sim, origin));
            url
        });
        let prefix = unused_prefix();
        let settings = [&[("REDIS_KEY_PREFIX", prefix.as_str())], settings].concat();
        let edge = Edge::start(&sim, door.await, &settings).await;
        Host::new(edge.addr, sim, edge)
    }
}

/// What an origin needs to be the door to this Redis. Nothing of the tests is its own to sweep.
#[must_use]
pub const fn door_of(redis_url: &str) -> [(&str, &str); 4] {
    [
        ("REDIS_URL", redis_url),
        ("REDIS_REST_TOKEN", DOOR_TOKEN),
        ("REDIS_KEY_PREFIX", "door:"),
        ("SWEEP_INTERVAL_MS", "3600000"),
    ]
}

/// The door's URL at an origin.
#[must_use]
pub fn door_url(origin: SocketAddr) -> String {
    format!("http://{origin}/redis")
}

/// What workerd is to run, in a file that is gone once it has been read.
struct ConfigFile(PathBuf);

impl ConfigFile {
    fn write(variables: &[(&str, &str)]) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "guestpass-workerd-{}-{}.capnp",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, config(variables)).expect("a temporary file can be written");
        Self(path)
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn config(variables: &[(&str, &str)]) -> String {
    let set = variables.iter().filter(|(_, value)| !value.is_empty());
    let bindings: Vec<_> =
        set.map(|(name, value)| format!("(name = {name:?}, text = {value:?})")).collect();
    let (bindings, date, cron) =
        (bindings.join(", "), compatibility_date(), include_str!("edge_cron.js"));
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "guestpass", worker = (
      compatibilityDate = "{date}",
      modules = [
        (name = "index.js", esModule = embed "/build/index.js"),
        (name = "index_bg.wasm", wasm = embed "/build/index_bg.wasm"),
      ],
      bindings = [{bindings}],
    )),
    (name = "cron", worker = (
      compatibilityDate = "{date}",
      compatibilityFlags = ["service_binding_extra_handlers"],
      modules = [(name = "cron.js", esModule = {cron:?})],
      bindings = [(name = "GUESTPASS", service = "guestpass")],
    )),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:0", service = "guestpass",
      http = (injectRequestHeaders = [(name = "CF-Connecting-IP", value = "127.0.0.1")])),
    (name = "cron", address = "127.0.0.1:0", service = "cron", http = ()),
  ],
);
"#
    )
}

/// The compatibility date that is deployed.
fn compatibility_date() -> String {
    let wrangler = std::fs::read_to_string(format!("{ROOT}/wrangler.toml")).expect("wrangler.toml");
    let date = wrangler.lines().find_map(|line| line.strip_prefix("compatibility_date = "));
    date.expect("a compatibility date").trim_matches('"').to_owned()
}

/// workerd itself, without the script that npm puts before it: signals must reach it.
fn executable() -> PathBuf {
    for built in ["build/index.js", "build/index_bg.wasm"] {
        assert!(Path::new(ROOT).join(built).exists(), "{built} is missing: run `npm run build`");
    }
    let platforms = std::fs::read_dir(format!("{ROOT}/node_modules/@cloudflare"));
    let found = platforms.into_iter().flatten().flatten().find_map(|entry| {
        let is_workerd = entry.file_name().to_string_lossy().starts_with("workerd-");
        Some(entry.path().join("bin/workerd")).filter(|path| is_workerd && path.exists())
    });
    found.expect("workerd is missing from node_modules: run `npm ci`")
}

/// The ports of the two sockets, as workerd reports them: `{"event":"listen","socket":"http","port":1}`.
async fn ports(output: &mut (impl AsyncBufRead + Unpin)) -> Option<[SocketAddr; 2]> {
    let (mut http, mut cron) = (None, None);
    let mut lines = output.lines();
    while let Some(line) = lines.next_line().await.ok()? {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let port = event["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let addr = port.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        match event["socket"].as_str() {
            Some("http") => http = addr,
            Some("cron") => cron = addr,
            _ => {}
        }
        if let (Some(http), Some(cron)) = (http, cron) {
            return Some([http, cron]);
        }
    }
    None
}
