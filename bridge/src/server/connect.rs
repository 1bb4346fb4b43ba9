//! [`Server`]: a connection, by whatever credentials.

use crate::failure::Failure;
use crate::server::request::{NotAnswered, ask};
use crate::settings::ServerSettings;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, jetstream};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A connection that comes back by itself, for ever.
#[derive(Clone, Debug)]
pub struct Server {
    /// The connection.
    pub client: Client,
    /// JetStream by it.
    pub jetstream: jetstream::Context,
    /// How often it was connected. What was sent before a change may have landed, may be lost, and
    /// may still land.
    pub connections: watch::Receiver<u64>,
    /// Its addresses, for texts.
    pub address: String,
    /// Bound on a request to JetStream.
    pub timeout: Duration,
}

/// Between two tries at the start.
const RETRY: Duration = Duration::from_millis(200);

/// Connects, and finds that the server has JetStream. `name`: what the server's operator sees;
/// `timeout`: of each request to JetStream.
///
/// # Errors
/// As [`connect_plain`]; [`Failure::NoJetStream`] at once.
pub async fn connect(settings: &ServerSettings, name: &str, timeout: Duration) -> Result<Server, Failure> {
    let deadline = Instant::now() + settings.connect_timeout().get();
    let address = settings.addresses().join(", ");
    let (client, connections) = connect_plain(settings, name).await?;
    let builder = ContextBuilder::new();
    let jetstream = match &settings.domain {
        Some(domain) => builder.domain(domain).timeout(timeout).build(client.clone()),
        None => builder.timeout(timeout).build(client.clone()),
    };
    find_jetstream(&client, &jetstream, timeout, &address, deadline).await?;
    let info = client.server_info();
    tracing::info!(server = %address, version = %info.version, max_payload = info.max_payload, "connected");
    Ok(Server { client, jetstream, connections, address, timeout })
}

/// Connects, to whatever server. Returns the connection, which comes back by itself, and how often
/// it was connected.
///
/// # Errors
/// [`Failure::Unreachable`] after [`ServerSettings::connect_timeout`]; [`Failure::Credentials`] at
/// once.
pub async fn connect_plain(settings: &ServerSettings, name: &str) -> Result<(Client, watch::Receiver<u64>), Failure> {
    let deadline = Instant::now() + settings.connect_timeout().get();
    let address = settings.addresses().join(", ");
    let (connected, connections) = watch::channel(0);
    loop {
        let options = options(settings, name).await?;
        let connected = connected.clone();
        let options = options.event_callback(move |event| {
            let connected = connected.clone();
            async move { note(&event, &connected) }
        });
        match options.connect(settings.addresses()).await {
            Ok(client) => return Ok((client, connections)),
            Err(error) => {
                let why = error.to_string();
                match error.kind() {
                    ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                        return Err(Failure::Credentials { server: address, why });
                    }
                    ConnectErrorKind::ServerParse => return Err(Failure::Settings(format!("{address}: {why}"))),
                    _ if Instant::now() + RETRY >= deadline => return Err(Failure::Unreachable { server: address, why }),
                    _ => sleep(RETRY).await,
                }
            }
        }
    }
}

fn note(event: &Event, connected: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            connected.send_modify(|count| *count += 1);
            tracing::debug!("connected");
        }
        Event::Disconnected => tracing::warn!("the connection to the server broke: trying to connect again"),
        Event::Closed => tracing::debug!("closed"),
        event => tracing::warn!("{event}"),
    }
}

async fn find_jetstream(
    client: &Client,
    jetstream: &jetstream::Context,
    timeout: Duration,
    address: &str,
    deadline: Instant,
) -> Result<(), Failure> {
    let server = || address.to_owned();
    loop {
        let why = match ask(jetstream, timeout, "INFO".into(), &Value::Null).await {
            Ok(_) => return Ok(()),
            Err(NotAnswered::Refused(refused)) => return Err(Failure::NoJetStream { server: server(), why: refused.why }),
            Err(NotAnswered::Away(why)) => why,
        };
        // One that was just started says that it has it, and does not answer yet.
        match client.server_info().jetstream {
            false => return Err(Failure::NoJetStream { server: server(), why }),
            true if Instant::now() + RETRY >= deadline => return Err(Failure::Unreachable { server: server(), why }),
            true => sleep(RETRY).await,
        }
    }
}

async fn options(settings: &ServerSettings, name: &str) -> Result<ConnectOptions, Failure> {
    let mut options = ConnectOptions::new().name(name).require_tls(settings.tls);
    if let Some(user) = &settings.user {
        let password = match &settings.password_file {
            Some(file) => line_of(file)?,
            None => settings.password.clone().unwrap_or_default(),
        };
        options = options.user_and_password(user.clone(), password);
    }
    if let Some(token) = &settings.token {
        options = options.token(token.clone());
    }
    if let Some(file) = &settings.nkey {
        options = options.nkey(line_of(file)?);
    }
    if let Some(file) = &settings.creds {
        let unreadable = |error: std::io::Error| Failure::Unreadable { path: file.clone(), why: error.to_string() };
        options = options.credentials_file(file).await.map_err(unreadable)?;
    }
    if let Some(file) = &settings.tls_ca {
        options = options.add_root_certificates(file.clone());
    }
    if let (Some(certificate), Some(key)) = (&settings.tls_cert, &settings.tls_key) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

/// The first line of a file.
fn line_of(file: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::Unreadable { path: file.to_owned(), why: error.to_string() };
    let text = fs::read_to_string(file).map_err(unreadable)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
