//! `guestpass dev` needs nothing, and every command that it prints works as it is.

use std::net::SocketAddr;
use std::process::Stdio;

use guestpass_tests::host::Settings;
use guestpass_tests::http_client::{Reply, Request};
use guestpass_tests::http_suite::Session;
use guestpass_tests::origin::guestpass;
use guestpass_tests::real_time::eventually;
use guestpass_tests::wait::{ms, within};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A `guestpass dev`, and the commands that it printed.
struct Dev {
    child: Child,
    commands: Vec<String>,
}

impl Dev {
    async fn start(settings: Settings<'_>) -> Self {
        let anywhere = [("LISTEN_ADDR", "127.0.0.1:0")];
        let mut command = guestpass("dev", &[&anywhere[..], settings].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut commands = Vec::new();
        let welcome = async {
            while let Some(line) = lines.next_line().await.expect("it writes UTF-8") {
                if line.starts_with("Ctrl-C") {
                    return;
                }
                commands.extend(line.trim().starts_with("curl ").then(|| line.trim().to_owned()));
            }
            panic!("it ended");
        };
        within(ms(20_000), welcome).await.expect("it starts");
        // The log must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, commands }
    }

    /// Does what the printed command with this word would do, as a shell with these variables reads it.
    async fn paste(&self, word: &str, settings: Settings<'_>) -> Reply {
        let command = self.commands.iter().find(|command| command.contains(word));
        let command = command.unwrap_or_else(|| panic!("no {word}: {:?}", self.commands));
        let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{command}");
        let words =
            Command::new("sh").args(["-c", &script]).envs(settings.iter().copied()).output();
        let words = words.await.expect("there is a shell").stdout;
        let words = String::from_utf8(words).expect("it is text");
        let (mut method, mut headers, mut url) = ("GET", Vec::new(), None);
        let mut words = words.lines();
        while let Some(word) = words.next() {
            match word {
                "-X" => method = words.next().expect("a method"),
                "-H" => headers.push(words.next().expect("a header")),
                _ => assert_eq!(url.replace(word), None, "{command}"),
            }
        }
        let url = url.and_then(|url| url.strip_prefix("http://")).expect("a URL");
        let (host, path) = url.split_once('/').expect("a path");
        let mut request = Request::new(method, &format!("/{path}"));
        for header in headers {
            let (name, value) = header.split_once(": ").expect("a header's name and value");
            request = request.header(name, value);
        }
        request.send(host.parse::<SocketAddr>().expect("an address")).await
    }

    async fn stop(mut self) {
        let id = self.child.id().expect("it runs").to_string();
        let kill = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(kill.expect("there is a kill").success());
        let ended = within(ms(15_000), self.child.wait()).await.expect("it ends in time");
        assert_eq!(ended.expect("a child can be waited for").code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fourth_issue_evicts_the_first_and_the_ledger_shows_it_revoked() {
    let dev = Dev::start(&[]).await;
    let mut sessions = Vec::new();
    for n in 1..=4 {
        let session = Session::of(&dev.paste("-X POST", &[]).await);
        assert!(!session.token.is_empty());
        assert_eq!(session.evicted, u64::from(n == 4));
        sessions.push(session);
    }
    let ledger = eventually("the first guest is revoked", ms(2000), async || {
        let ledger = dev.paste("/sim/ledger", &[]).await.expect(200).json();
        let guests = ledger["guests"].as_array().expect("a list of guests").clone();
        let is_revoked = |guest: &Value| guest["invalidatedAtMs"] != Value::Array(vec![]);
        guests.iter().any(is_revoked).then_some(guests)
    });
    let shown: Vec<_> = ledger.await.iter().map(|guest| guest["id"].clone()).collect();
    let issued: Vec<_> = sessions.iter().map(|session| session.guest_id.clone()).collect();
    assert_eq!(shown, issued);
    let ledger = dev.paste("/sim/ledger", &[]).await.json();
    for (n, guest) in ledger["guests"].as_array().expect("a list").iter().enumerate() {
        let times = guest["invalidatedAtMs"].as_array().expect("a list").len();
        assert_eq!(times, usize::from(n == 0), "{guest}");
    }
    let list = dev.paste("-H \"Authorization", &[]).await.expect(200).json();
    assert_eq!(list["sessions"].as_array().expect("a list").len(), 3);
    let stats = dev.paste("/v1/stats", &[]).await.expect(200).json();
    assert_eq!(stats["counters"]["evicted"], 1);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_commands_work_with_keys_and_tokens_of_ones_own() {
    let own = [("ISSUE_KEYS", "first-key,second-key"), ("OPERATOR_TOKEN", "own-token,another")];
    let dev = Dev::start(&own).await;
    assert!(dev.commands.iter().all(|command| !command.contains("own-token")));
    assert_eq!(dev.paste("-X POST", &[]).await.status, 401);
    assert_eq!(dev.paste("-X POST", &own).await.status, 201);
    let stats = dev.paste("/v1/stats", &own).await.expect(200).json();
    assert_eq!(stats["counters"]["issued"], 1);
    dev.stop().await;
}
