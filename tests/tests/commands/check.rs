//! `guestpass check` names the part that fails and what to do about it; never a secret.

use genesys_sim::{Effect, Fault, On, Sim, SimConfig};
use guestpass_tests::host::{Settings, before, start_sim};
use guestpass_tests::origin::guestpass;
use guestpass_tests::redis_cluster::RedisCluster;
use guestpass_tests::redis_server::{RedisServer, free_port};

/// A password, and a part of everything else that must not be shown.
const SECRET: &str = "s3cret-and-unshown";

/// What a check said, and how it ended.
pub(crate) struct Checked {
    code: Option<i32>,
    said: String,
}

impl Checked {
    /// The one line that begins so.
    fn line(&self, begin: &str) -> &str {
        let mut lines = self.said.lines().filter(|line| line.starts_with(begin));
        match (lines.next(), lines.next()) {
            (Some(line), None) => line,
            _ => panic!("not one line {begin:?}:\n{}", self.said),
        }
    }

    /// The line of the one check that failed, which must have this advice.
    pub(crate) fn fails(&self, what: &str, advice: &str) {
        assert_eq!(self.code, Some(1), "{}", self.said);
        assert_eq!(self.line("failed"), self.line(&format!("failed  {what}: ")));
        assert!(self.line("failed").contains(advice), "{advice:?}:\n{}", self.said);
    }

    pub(crate) fn succeeds(&self) {
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert!(!self.said.contains("failed"), "{}", self.said);
    }
}

async fn check_with(settings: Settings<'_>) -> Checked {
    let output = guestpass("check", settings).output().await.expect("the binary can be run");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("it writes UTF-8");
    assert!(!said.contains(SECRET) && !said.contains("sim-secret"), "a secret is shown:\n{said}");
    Checked { code: output.status.code(), said }
}

async fn check(sim: &Sim, settings: Settings<'_>) -> Checked {
    check_with(&[&before(&sim.url())[..], settings].concat()).await
}

/// A check of this Redis, before a Genesys where all is well.
pub(crate) async fn check_redis(url: &str, more: Settings<'_>) -> Checked {
    let sim = start_sim(SimConfig::default()).await;
    let checked = check(&sim, &[&[("REDIS_URL", url)][..], more].concat()).await;
    // What fails hides nothing else.
    assert!(checked.line("ok      Genesys permission").contains("revoking is allowed"));
    checked
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well() {
    let redis = RedisServer::start_appendonly();
    let checked = check_redis(&redis.url(), &[]).await;
    checked.succeeds();
    assert!(checked.said.lines().all(|line| line.starts_with("ok ")), "{}", checked.said);
    assert!(checked.line("ok      Redis: ").contains("version"));
    assert_eq!(redis.query::<Vec<String>>(&["KEYS", "*"]), [""; 0], "it leaves something behind");

    let cluster = RedisCluster::start();
    check_redis(&cluster.url(), &[("REDIS_SHARDS", "4")]).await.succeeds();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_missing_rights_at_genesys() {
    let sim = start_sim(SimConfig::default()).await;
    let wrong = check(&sim, &[("GENESYS_CLIENT_SECRET", SECRET)]).await;
    wrong.fails("Genesys login", "check GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET");

    let scopes = check(&sim, &[("GENESYS_SCOPES", "messaging:guest:view")]).await;
    scopes.fails("Genesys permission", "needs the scope messaging:guest:manage in GENESYS_SCOPES");

    let refusal = Effect::Status { code: 403, retry_after: None, body: None };
    sim.fault(Fault::once(On::Invalidate, refusal));
    check(&sim, &[]).await.fails("Genesys permission", "a role that may manage messaging guests");
    check(&sim, &[]).await.succeeds();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_region_is_answered_with_the_known_ones() {
    let sim = start_sim(SimConfig::default()).await;
    let checked = check(&sim, &[("GENESYS_REGION", "mypurecloud.fr")]).await;
    assert_eq!(checked.code, Some(2));
    let line = checked.line("GENESYS_REGION: ");
    assert!(line.contains("usw2.pure.cloud") && line.contains("mypurecloud.de"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_of_the_configuration_is_named_at_once() {
    let checked = check_with(&[
        ("GENESYS_CLIENT_SECRET", SECRET),
        ("MAX_SESSIONS_PER_DEVICE", "0"),
        ("REDIS_URL", "s3cret-and-unshown"),
        ("TOKEN_SEALING_KEY", SECRET),
    ]);
    let checked = checked.await;
    assert_eq!(checked.code, Some(2));
    let names = ["REGION", "CLIENT_ID"].map(|name| format!("GENESYS_{name}"));
    let names = names.iter().map(String::as_str);
    for name in names.chain(["MAX_SESSIONS_PER_DEVICE", "REDIS_URL", "TOKEN_SEALING_KEY"]) {
        checked.line(&format!("{name}: "));
    }
    assert!(checked.line("guestpass: ").contains("5 mistakes"), "{}", checked.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_may_stand_in_a_file() {
    let sim = start_sim(SimConfig::default()).await;
    let file = std::env::temp_dir().join(format!("guestpass-secret-{}", std::process::id()));
    let name = file.to_str().expect("a plain path");
    let in_file = [("GENESYS_CLIENT_SECRET", ""), ("GENESYS_CLIENT_SECRET_FILE", name)];
    std::fs::write(&file, "sim-secret\n").expect("a file can be written");
    check(&sim, &in_file).await.succeeds();
    std::fs::write(&file, SECRET).expect("a file can be written");
    let wrong = check(&sim, &in_file).await;
    wrong.fails("Genesys login", "check GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET");
    std::fs::remove_file(&file).expect("a file can be removed");
    let missing = check(&sim, &in_file).await;
    assert_eq!(missing.code, Some(2));
    let line = missing.line("GENESYS_CLIENT_SECRET: ");
    assert!(line.contains("the file that GENESYS_CLIENT_SECRET_FILE names"), "{line}");
    let both = check(&sim, &[("GENESYS_CLIENT_SECRET_FILE", name)]).await;
    assert!(both.line("GENESYS_CLIENT_SECRET: ").contains("are both set"), "{}", both.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_redis() {
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    check_redis(&nobody, &[]).await.fails("Redis", "nothing listens at the host and port");

    let redis = RedisServer::start();
    redis.pause();
    check_redis(&redis.url(), &[]).await.fails("Redis", "check host, port and firewalls");
    redis.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_wants_a_password() {
    let redis = RedisServer::start();
    redis.query::<()>(&["CONFIG", "SET", "requirepass", SECRET]);
    let with = |user: &str| redis.url().replace("//", &format!("//{user}@"));
    let none = check_redis(&redis.url(), &[]).await;
    none.fails("Redis", "put it into REDIS_URL as redis://user:password@host:port");
    let wrong = check_redis(&with(":another"), &[]).await;
    wrong.fails("Redis", "the user or password in REDIS_URL is wrong");
    check_redis(&with(&format!(":{SECRET}")), &[]).await.succeeds();
}

fn in_cluster_form(redis: &RedisServer) -> String {
    redis.url().replace("redis:", "redis-cluster:")
}

const SHARDS: Settings<'_> = &[("REDIS_SHARDS", "3")];

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_needs_shards_and_its_own_form_of_url() {
    let sim = start_sim(SimConfig::default()).await;
    let unsharded = check(&sim, &[("REDIS_URL", "redis-cluster://127.0.0.1:7000")]).await;
    assert_eq!(unsharded.code, Some(2));
    assert!(unsharded.line("REDIS_SHARDS: ").contains("must be 2 or more"), "{}", unsharded.said);

    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let as_single = check_redis(&node.url(), &[]).await;
    as_single.fails("Redis", "use redis-cluster://host:port,host:port and REDIS_SHARDS of 2");
    let single = RedisServer::start();
    let as_cluster = check_redis(&in_cluster_form(&single), SHARDS).await;
    as_cluster.fails("Redis", "the server is not a Cluster");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_whole_or_lets_nobody_in() {
    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let url = in_cluster_form(&node);
    check_redis(&url, SHARDS).await.fails("Redis", "CLUSTER INFO");
    node.query::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "8000"]);
    check_redis(&url, SHARDS).await.fails("Redis scripts", "CLUSTER INFO");

    node.query::<()>(&["CONFIG", "SET", "requirepass", SECRET]);
    check_redis(&url, SHARDS).await.fails("Redis", "the server wants a password");
    let wrong = url.replace("//", "//:another@");
    check_redis(&wrong, SHARDS).await.fails("Redis", "the user or password in REDIS_URL is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_whose_user_may_not_run_scripts() {
    let redis = RedisServer::start();
    redis.query::<()>(&[
        "ACL",
        "SETUSER",
        "weak",
        "on",
        &format!(">{SECRET}"),
        "~*",
        "+@read",
        "+ping",
    ]);
    let url = redis.url().replace("//", &format!("//weak:{SECRET}@"));
    check_redis(&url, &[]).await.fails("Redis scripts", "ACL SETUSER <user> +@read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_full() {
    let redis = RedisServer::start();
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1000"]);
    check_redis(&redis.url(), &[]).await.fails("Redis memory", "raise maxmemory");
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1gb"]);
    check_redis(&redis.url(), &[]).await.succeeds();
}
