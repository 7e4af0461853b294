//! Redis by the `redis` crate: a single server (TLS or not) or a Cluster, connected lazily, recovering
//! by itself, with a deadline around every command.

use std::time::Duration;

use bytes::Bytes;
use guestpass_core::config::RedisTarget;
use guestpass_core::seams::{Kv, Reply, StoreFault};
use guestpass_core::store::echo::without_echo;
use guestpass_core::store::script::Script;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Cmd, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisError, ServerErrorKind, Value,
};
use tokio::sync::OnceCell;

use crate::clock::within;

/// The longest that one command may take, a reconnect included.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(2);

/// How long one attempt to connect may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// A connection to Redis. Clones share it.
#[derive(Clone)]
pub struct RedisKv {
    link: Link,
}

#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
    Cluster(std::sync::Arc<Cluster>),
}

struct Cluster {
    client: ClusterClient,
    /// Empty until the first command that reached the cluster.
    connection: OnceCell<ClusterConnection>,
}

/// Without TCP_NODELAY a script's arguments wait for an acknowledgement; without keepalive and a user
/// timeout a connection whose peer is gone is never given up.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(15));
    settings
}

impl RedisKv {
    /// Prepares a connection; nothing is sent before the first command.
    ///
    /// # Errors
    /// When the target cannot be an address. The text holds no password.
    pub fn new(target: &RedisTarget) -> Result<Self, String> {
        let refused = |error: RedisError| describe(&error);
        let link = match target {
            RedisTarget::Single(url) => {
                let info = url.expose().into_connection_info().map_err(refused)?;
                let client =
                    redis::Client::open(info.set_tcp_settings(tcp_settings())).map_err(refused)?;
                let config = ConnectionManagerConfig::new()
                    .set_number_of_retries(1)
                    .set_min_delay(Duration::from_millis(50))
                    .set_max_delay(Duration::from_millis(200))
                    .set_connection_timeout(Some(CONNECT_DEADLINE))
                    .set_response_timeout(None);
                Link::Single(
                    ConnectionManager::new_lazy_with_config(client, config).map_err(refused)?,
                )
            }
            RedisTarget::Cluster(urls) => {
                let client = ClusterClient::builder(urls.iter().map(|url| url.expose().to_owned()))
                    .tcp_settings(tcp_settings())
                    .connection_timeout(CONNECT_DEADLINE)
                    .response_timeout(COMMAND_DEADLINE)
                    .build()
                    .map_err(refused)?;
                Link::Cluster(std::sync::Arc::new(Cluster { client, connection: OnceCell::new() }))
            }
        };
        Ok(Self { link })
    }

    /// Sends one command, with the deadline of every command.
    ///
    /// # Errors
    /// The connection's error, the deadline's (as a timeout), or the server's own.
    pub async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        in_time(async {
            match &self.link {
                Link::Single(manager) => command.query_async(&mut manager.clone()).await,
                Link::Cluster(cluster) => command.query_async(&mut cluster.connect().await?).await,
            }
        })
        .await
    }

    /// Sends a pipeline in one go, with the deadline of one command. In a Cluster all its keys must be in one
    /// slot.
    ///
    /// # Errors
    /// As [`Self::command`]; errors of single commands are among the replies where the pipeline ignores errors.
    pub async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let replies = in_time(async {
            match &self.link {
                Link::Single(manager) => pipeline.query_async(&mut manager.clone()).await,
                Link::Cluster(cluster) => pipeline.query_async(&mut cluster.connect().await?).await,
            }
        });
        match replies.await? {
            Value::Array(replies) => Ok(replies),
            _ => Err((ErrorKind::UnexpectedReturnType, "no replies of a pipeline").into()),
        }
    }

    /// Whether keys live on several servers.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.link, Link::Cluster(_))
    }
}

impl Cluster {
    async fn connect(&self) -> Result<ClusterConnection, RedisError> {
        let connect = || self.client.get_async_connection();
        Ok(self.connection.get_or_try_init(connect).await?.clone())
    }
}

async fn in_time(
    answer: impl Future<Output = Result<Value, RedisError>>,
) -> Result<Value, RedisError> {
    let late = || Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    within(COMMAND_DEADLINE, answer).await.unwrap_or_else(late)
}

impl Kv for RedisKv {
    async fn run(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[Bytes],
    ) -> Result<Reply, StoreFault> {
        let evaluate = |name: &str, body: &str| {
            let mut command = redis::cmd(name);
            command.arg(body).arg(keys.len()).arg(keys);
            for arg in args {
                command.arg(&arg[..]);
            }
            command
        };
        let answer = match self.command(&evaluate("EVALSHA", script.sha1())).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command(&evaluate("EVAL", script.source())).await
            }
            other => other,
        };
        answer.map_err(|error| fault(&error)).and_then(reply)
    }
}

fn reply(value: Value) -> Result<Reply, StoreFault> {
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Int(number),
        Value::BulkString(bytes) => Reply::Bytes(bytes.into()),
        Value::SimpleString(text) => Reply::Bytes(text.into()),
        Value::Okay => Reply::Bytes(Bytes::from_static(b"OK")),
        Value::Array(items) => {
            Reply::Array(items.into_iter().map(reply).collect::<Result<_, _>>()?)
        }
        _ => return Err(StoreFault::Unreadable("a reply type that scripts do not use".to_owned())),
    })
}

/// Sorts an error of the `redis` crate by what it means for the caller.
pub fn fault(error: &RedisError) -> StoreFault {
    match error.kind() {
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        )
        | ErrorKind::ClusterConnectionNotFound => StoreFault::Unreachable(describe(error)),
        ErrorKind::Io if error.is_timeout() || error.is_connection_refusal() => {
            StoreFault::Unreachable(describe(error))
        }
        ErrorKind::Io => StoreFault::Lost(describe(error)),
        ErrorKind::Parse => StoreFault::Unreadable(describe(error)),
        _ => StoreFault::Refused(describe(error)),
    }
}

/// An error in one line, without what the server repeats of the command.
#[must_use]
pub fn describe(error: &RedisError) -> String {
    without_echo(&error.to_string())
}
