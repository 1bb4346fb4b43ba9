//! What the command line and the file of settings say.
//!
//! ```text
//!   shmq-bridge out QUEUE ...    --.
//!   shmq-bridge in QUEUE ...       +--> Settings: a server, and directions
//!   shmq-bridge mirror TOPIC ...   |
//!   shmq-bridge run FILE         --'    what the command line says of the server counts before the file
//! ```
//!
//! Each direction is one struct, which clap fills from arguments and serde from a table of the file:
//! the names are the same, `--ack-timeout 5s` and `ack-timeout = "5s"`.

mod arguments;
mod file;
mod inward;
mod mirror;
mod out;
mod server;
mod span;

pub use arguments::{Arguments, Command};
pub use inward::{AckOn, InSettings};
pub use mirror::MirrorSettings;
pub use out::{OnFull, OutSettings, Retention};
pub use server::ServerSettings;
pub use span::Span;

use crate::failure::Failure;
use std::net::SocketAddr;

/// All that a bridge is to do.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The server, and how the bridge proves who it is.
    pub server: ServerSettings,
    /// Where counters are shown, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Queues whose messages go to streams.
    pub out: Vec<OutSettings>,
    /// Queues that are filled from streams.
    pub inward: Vec<InSettings>,
    /// Topics.
    pub mirror: Vec<MirrorSettings>,
}

/// Can a stream or a consumer have that name? The server says so of some of them with no answer at
/// all.
fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let is_bad = |each: char| each.is_whitespace() || each.is_control() || ".*>/\\".contains(each);
    if !name.is_empty() && !name.contains(is_bad) {
        return Ok(());
    }
    Err(Failure::Settings(format!("{what} \"{name}\" is no name: it must be without spaces, dots, slashes, * and >")))
}

/// Can that be published to?
fn check_subject(what: &str, subject: &str) -> Result<(), Failure> {
    let is_bad = |each: char| each.is_whitespace() || each.is_control() || each == '*' || each == '>';
    if !subject.split('.').any(str::is_empty) && !subject.contains(is_bad) {
        return Ok(());
    }
    Err(Failure::Settings(format!("{what} \"{subject}\" cannot be published to: it must be one subject, without * and >")))
}

impl Settings {
    /// What the arguments say, with the file that they name.
    ///
    /// # Errors
    /// [`Failure::Settings`] or [`Failure::Unreadable`].
    pub fn of(arguments: Arguments) -> Result<Settings, Failure> {
        let Arguments { command, .. } = arguments;
        let mut settings = match command {
            Command::Out { server, metrics, direction } => {
                Settings { server, metrics, out: vec![*direction], ..Settings::default() }
            }
            Command::In { server, metrics, direction } => {
                Settings { server, metrics, inward: vec![*direction], ..Settings::default() }
            }
            Command::Mirror { server, metrics, direction } => {
                Settings { server, metrics, mirror: vec![*direction], ..Settings::default() }
            }
            Command::Run { server, metrics, file } => {
                let said = file::read(&file)?;
                Settings { server: server.or(said.server), metrics: metrics.or(said.metrics), ..said }
            }
        };
        settings.server = settings.server.or(ServerSettings::default());
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.out.is_empty() && self.inward.is_empty() && self.mirror.is_empty() {
            return Err(Failure::Settings("the file of settings has no [[out]], no [[in]] and no [[mirror]]".into()));
        }
        self.server.check()?;
        self.out.iter().try_for_each(OutSettings::check)?;
        self.inward.iter().try_for_each(InSettings::check)?;
        self.mirror.iter().try_for_each(MirrorSettings::check)
    }
}
