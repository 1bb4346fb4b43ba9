//! The command line.

use super::{InSettings, MirrorSettings, OutSettings, ServerSettings};
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Carries messages between queues of the crate shmq and NATS JetStream. It loses none, whichever
/// process is killed: see the README for the promise, for what may double and when, and for exit
/// codes.
///
/// It says on stderr what it does; RUST_LOG=shmq_bridge=debug makes it say more. SIGTERM and SIGINT
/// end it when all that is under way is confirmed.
#[derive(Debug, Parser)]
#[command(name = "shmq-bridge", version, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Write logs as lines without colours and times, as for a journal that adds its own.
    #[arg(long, global = true)]
    pub plain_logs: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carry the messages of a queue to a stream.
    Out {
        /// The server.
        #[command(flatten)]
        server: ServerSettings,
        /// Show counters at this address, as Prometheus reads them: 127.0.0.1:9100.
        #[arg(long, value_name = "ADDR")]
        metrics: Option<SocketAddr>,
        /// The direction.
        #[command(flatten)]
        direction: Box<OutSettings>,
    },
    /// Fill a queue from a stream.
    In {
        /// The server.
        #[command(flatten)]
        server: ServerSettings,
        /// Show counters at this address, as Prometheus reads them: 127.0.0.1:9100.
        #[arg(long, value_name = "ADDR")]
        metrics: Option<SocketAddr>,
        /// The direction.
        #[command(flatten)]
        direction: Box<InSettings>,
    },
    /// Publish a topic to a subject, or a subject to a topic.
    Mirror {
        /// The server.
        #[command(flatten)]
        server: ServerSettings,
        /// Show counters at this address, as Prometheus reads them: 127.0.0.1:9100.
        #[arg(long, value_name = "ADDR")]
        metrics: Option<SocketAddr>,
        /// The direction.
        #[command(flatten)]
        direction: Box<MirrorSettings>,
    },
    /// Do all that a file of settings says, for several queues.
    Run {
        /// The server. What is said here counts before the file.
        #[command(flatten)]
        server: ServerSettings,
        /// Show counters at this address, as Prometheus reads them: 127.0.0.1:9100.
        #[arg(long, value_name = "ADDR")]
        metrics: Option<SocketAddr>,
        /// The file, in TOML.
        file: PathBuf,
    },
}
