//! The edge as a process: the Worker that `npm run build` made, in workerd, over the REST door of an origin.
//! Requests go to workerd's own socket, unchanged, except that it sets `CF-Connecting-IP`, as Cloudflare does.
//! A loop plays the cron trigger.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use genesys_sim::Sim;
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::door::{DOOR_TOKEN, Door};
use crate::host::{Host, Launch, Settings, before};
use crate::http_client::{Reply, Request};
use crate::origin::unused_prefix;
use crate::process::Process;
use crate::redis_server::RedisServer;
use crate::wait::{ms, pause, within};

/// How often the cron trigger fires. Cloudflare's longest pause is a minute; tests do not wait that long.
const CRON_EVERY_MS: u64 = 500;

/// Where a whole run of workerd's start must have come to, on a busy machine.
const START: std::time::Duration = ms(30_000);

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What the Worker is built of.
const INPUTS: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "core/Cargo.toml",
    "core/src",
    "edge-worker/Cargo.toml",
    "edge-worker/build.mjs",
    "edge-worker/fetch.js",
    "edge-worker/shim.js",
    "edge-worker/src",
];

/// A running workerd with the Worker in it.
pub struct Edge {
    /// Where it listens.
    pub addr: SocketAddr,
    cron: SocketAddr,
    _ticking: Option<Ticking>,
    process: Process,
}

/// A loop that ends when this is dropped.
struct Ticking(JoinHandle<()>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Edge {
    /// Starts one between this door, which [`DOOR_TOKEN`] opens, and this simulator, with its cron trigger, and waits until it listens.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(sim: &Sim, door: &str, settings: Settings<'_>) -> Self {
        let mut edge = Self::start_without_cron(sim, door, settings).await;
        let cron = edge.cron;
        edge._ticking = Some(Ticking(tokio::spawn(async move {
            loop {
                pause(ms(CRON_EVERY_MS)).await;
                // A trigger that finds nobody is followed by the next.
                let _ = Request::new("GET", "/").try_send(cron).await;
            }
        })));
        edge
    }

    /// Starts one whose cron trigger fires only on [`Self::sweep`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_without_cron(sim: &Sim, door: &str, settings: Settings<'_>) -> Self {
        let url = sim.url();
        let own = [("UPSTASH_REDIS_REST_URL", door), ("UPSTASH_REDIS_REST_TOKEN", DOOR_TOKEN)];
        let mut variables = [&before(&url)[..], &own].concat();
        for &(name, value) in settings {
            variables.retain(|(known, _)| *known != name);
            variables.push((name, value));
        }
        let config = ConfigFile::write(&variables);
        let mut command = Command::new(executable());
        command
            .args(["serve", "--experimental", "--control-fd=1", "--import-path", ROOT])
            .args(["--import-path", &format!("{ROOT}/node_modules")])
            .arg(&config.0);
        let (process, output) = Process::start(&mut command);
        let mut output = BufReader::new(output);
        let ports = within(START, ports(&mut output)).await.flatten();
        let [addr, cron] =
            ports.unwrap_or_else(|| panic!("workerd does not start: {}", process.log()));
        process.keep(output);
        Self { addr, cron, process, _ticking: None }
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// All that the Worker has written to its console so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
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
    pub async fn kill(self) {
        self.process.kill().await;
    }
}

/// The Worker over one real Redis that all hosts of this process share, each with a prefix of its own, through
/// the REST door of an origin.
pub struct OnDoor;

impl Launch for OnDoor {
    async fn start_before(&self, sim: Sim, settings: Settings<'_>) -> Host {
        static REDIS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
        // It ends with this process.
        static DOOR: OnceCell<Door> = OnceCell::const_new();
        let door = DOOR.get_or_init(async || Door::open(&REDIS.url(), "1").await).await;
        let prefix = unused_prefix();
        let settings = [&[("REDIS_KEY_PREFIX", prefix.as_str())], settings].concat();
        let edge = Edge::start(&sim, &door.url, &settings).await;
        Host::new(edge.addr, sim, edge)
    }
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
    let root = Path::new(ROOT);
    let built = newest(&root.join("build/inputs.sha256"));
    let built = built.expect("the Worker is not built: run `npm run build`");
    for input in INPUTS {
        let changed = newest(&root.join(input)).expect(input);
        assert!(
            changed <= built,
            "{input} changed after the Worker was built: run `npm run build`"
        );
    }
    let platforms = std::fs::read_dir(format!("{ROOT}/node_modules/@cloudflare"));
    let found = platforms.into_iter().flatten().flatten().find_map(|entry| {
        let is_workerd = entry.file_name().to_string_lossy().starts_with("workerd-");
        Some(entry.path().join("bin/workerd")).filter(|path| is_workerd && path.exists())
    });
    found.expect("workerd is missing from node_modules: run `npm ci`")
}

/// When a file was changed, or the one of a folder that was changed last, tests apart.
fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(folder) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).and_then(|file| file.modified()).ok();
    };
    let inside = folder.flatten().filter(|entry| {
        !["tests", "test_support"].contains(&entry.file_name().to_string_lossy().as_ref())
    });
    inside.filter_map(|entry| newest(&entry.path())).max()
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
