//! The server, and how the bridge proves who it is.

use super::Span;
use crate::failure::Failure;
use clap::Args;
use serde::Deserialize;
use std::path::PathBuf;

/// The server, and how the bridge proves who it is. What is not said is as the client has it.
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Its address, or those of a cluster, with commas [default: nats://127.0.0.1:4222].
    #[arg(long, value_name = "URL", value_delimiter = ',', env = "NATS_URL")]
    #[serde(deserialize_with = "one_or_several")]
    pub server: Vec<String>,
    /// User, with a password.
    #[arg(long, env = "SHMQ_BRIDGE_USER")]
    pub user: Option<String>,
    /// The user's password. All users of the machine can see arguments: rather use the variable, or
    /// a file.
    #[arg(long, env = "SHMQ_BRIDGE_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// A file that holds the user's password.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub password_file: Option<PathBuf>,
    /// A token.
    #[arg(long, env = "SHMQ_BRIDGE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A file that holds the seed of an nkey.
    #[arg(long, value_name = "FILE")]
    pub nkey: Option<PathBuf>,
    /// A file of credentials, as `nsc` writes it.
    #[arg(long, value_name = "FILE", env = "NATS_CREDS")]
    pub creds: Option<PathBuf>,
    /// Insist on TLS.
    #[arg(long)]
    pub tls: bool,
    /// Certificates of authorities to trust, in PEM, beside those of the system.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The bridge's own certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The JetStream domain.
    #[arg(long)]
    pub domain: Option<String>,
    /// How long to try at the start, before giving up [default: 10s]. Later the bridge tries for
    /// ever.
    #[arg(long, value_name = "TIME")]
    pub connect_timeout: Option<Span>,
}

/// In a file: `"nats://a"`, `"nats://a,nats://b"`, or `["nats://a", "nats://b"]`.
fn one_or_several<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected an address, or a list of them: server = [\"nats://hub:4222\"]")]
    enum Said {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Said::deserialize(from)? {
        Said::One(one) => one.split(',').map(|each| each.trim().to_owned()).collect(),
        Said::Several(several) => several,
    })
}

impl ServerSettings {
    /// What is not said here is as in `other`, and then as the defaults are. Credentials of two
    /// places are not mixed.
    pub(super) fn or(self, other: ServerSettings) -> ServerSettings {
        let credentials = if self.has_credentials() { self.clone() } else { other.clone() };
        let tls = if self.tls_cert.is_some() { self.clone() } else { other.clone() };
        ServerSettings {
            server: if self.server.is_empty() { other.server } else { self.server },
            user: credentials.user,
            password: credentials.password,
            password_file: credentials.password_file,
            token: credentials.token,
            nkey: credentials.nkey,
            creds: credentials.creds,
            tls: self.tls || other.tls,
            tls_ca: self.tls_ca.or(other.tls_ca),
            tls_cert: tls.tls_cert,
            tls_key: tls.tls_key,
            domain: self.domain.or(other.domain),
            connect_timeout: self.connect_timeout.or(other.connect_timeout),
        }
    }

    fn has_credentials(&self) -> bool {
        self.user.is_some() || self.token.is_some() || self.nkey.is_some() || self.creds.is_some()
    }

    /// The addresses.
    pub fn addresses(&self) -> Vec<String> {
        if self.server.is_empty() { vec!["nats://127.0.0.1:4222".to_owned()] } else { self.server.clone() }
    }

    /// How long to try at the start.
    pub fn connect_timeout(&self) -> Span {
        self.connect_timeout.unwrap_or(Span::from_millis(10_000))
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        let refused = |why: &str| Err(Failure::Settings(why.to_owned()));
        if self.server.iter().any(|address| address.trim().is_empty()) {
            return refused("the address of a server is empty (--server, NATS_URL, or server in the file)");
        }
        let ways = [self.user.is_some(), self.token.is_some(), self.nkey.is_some(), self.creds.is_some()];
        if ways.iter().filter(|&&is_said| is_said).count() > 1 {
            return refused("say one of user, token, nkey and creds");
        }
        let has_password = self.password.is_some() || self.password_file.is_some();
        if self.user.is_some() != has_password {
            return refused("user and password (or password-file) belong together");
        }
        if self.password.is_some() && self.password_file.is_some() {
            return refused("say password or password-file, not both");
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return refused("tls-cert and tls-key belong together");
        }
        Ok(())
    }
}
