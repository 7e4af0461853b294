//! The `genesys-sim` process.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::client::*;

#[tokio::test]
async fn the_process_prints_its_url_and_serves_there() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_genesys-sim"))
        .args(["--listen", "127.0.0.1:0", "--rate-limit", "3", "--token-ttl", "60"])
        .args(["--latency-ms", "1"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.contains("/sim/ledger"), "{line}");
    let (_, after) = line.split_once("http://").unwrap();
    let addr = after.split(' ').next().unwrap().parse().unwrap();

    let settings = admin(addr, "GET", "/sim/settings", "").await.json();
    assert_eq!(settings["rateLimit"]["calls"], 3);
    assert_eq!(settings["tokenTtlSeconds"], 60);
    assert_eq!(settings["latencyMs"]["create"], 1);
    let headers = [("Authorization", BASIC), ("Content-Type", FORM)];
    let form = "grant_type=client_credentials";
    let reply = call(addr, "POST", "/oauth/token", &headers, form).await;
    assert_eq!(reply.unwrap().status, 200);
}
