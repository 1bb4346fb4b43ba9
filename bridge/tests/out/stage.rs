//! What most cases begin with, and what they read in the end.

use crate::rig::{Admin, Folder, Running, SOON, Server, Settings, bridge};
use crate::support::{unique_name, wait_at_most};
use futures_util::StreamExt;
use shmq::{MessageId, Queue};
use shmq_bridge::headers;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

/// A server, a queue of bytes, and a folder for logs.
pub struct Stage {
    pub server: Server,
    pub admin: Admin,
    pub queue: Queue<[u8]>,
    pub name: String,
    pub stream: String,
    pub folder: Folder,
}

/// A message that landed.
pub struct Landed {
    pub sequence: u64,
    pub id: MessageId,
    pub payload: Vec<u8>,
    pub headers: async_nats::HeaderMap,
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Stage {
        let server = Server::start_with(settings);
        let admin = Admin::connect(&server.url());
        let name = unique_name("jobs");
        let queue = crate::rig::roles::queue(&name);
        Stage { server, admin, queue, stream: "JOBS".into(), name, folder: Folder::new() }
    }

    /// `shmq-bridge out` of the stage's queue to its stream.
    pub fn command(&self, more: &[&str]) -> Command {
        self.command_at(&self.server.url(), more)
    }

    pub fn command_at(&self, url: &str, more: &[&str]) -> Command {
        out(&self.name, &self.stream, url, more)
    }

    pub fn bridge(&self, more: &[&str]) -> Running {
        Running::start(self.command(more), "bridge", self.folder.path())
    }

    /// One that carries already.
    pub fn carrying(&self, more: &[&str]) -> Running {
        let mut bridge = self.bridge(more);
        bridge.wait_for("carrying", SOON);
        bridge
    }

    /// One that ends by itself, with that exit code and these words.
    #[track_caller]
    pub fn refused(&self, more: &[&str], code: i32, words: &[&str]) {
        refused(self.command(more), code, words, &self.folder);
    }

    pub fn put(&self, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| self.queue.put_timeout(&crate::rig::roles::message(number), SOON).expect("room"));
    }

    #[track_caller]
    pub fn wait_for_last(&self, last: u64) {
        wait_at_most(
            SOON * 2,
            &format!("{last} messages in the stream"),
            || self.admin.state(&self.stream).last_sequence >= last,
            || format!("{:?}", self.admin.state(&self.stream).last_sequence),
        );
    }

    /// All that the stream has.
    pub fn landed(&self) -> Vec<Landed> {
        landed(&self.admin, &self.stream)
    }

    /// The numbers that landed, which did so in order and once each.
    #[track_caller]
    pub fn expect_in_order(&self, numbers: std::ops::Range<u64>) {
        let landed = self.landed();
        let ids: BTreeSet<MessageId> = landed.iter().map(|message| message.id).collect();
        assert_eq!(ids.len(), landed.len(), "an id landed twice");
        let got: Vec<u64> = landed.iter().map(|message| crate::rig::roles::number_of(&message.payload)).collect();
        assert!(
            got.iter().copied().eq(numbers.clone()),
            "{} of {numbers:?} landed, beginning {:?}",
            got.len(),
            got.iter().take(20).collect::<Vec<_>>()
        );
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = Queue::<[u8]>::unlink(&self.name);
        forget_journal(&self.name);
    }
}

/// Removes a bridge's journal.
pub fn forget_journal(name: &str) {
    let _ = shmq::sync::Array::<u64>::unlink(format!("{name}.bridge-out"));
}

pub fn out(queue: &str, stream: &str, url: &str, more: &[&str]) -> Command {
    let mut command = bridge();
    command.args(["out", queue, "--stream", stream, "--server", url, "--plain-logs"]).args(more);
    command.env("RUST_LOG", "shmq_bridge=debug,async_nats=info");
    command
}

#[track_caller]
pub fn refused(command: Command, code: i32, words: &[&str], folder: &Folder) {
    let shown = format!("{:?}", command.get_args().collect::<Vec<&OsStr>>());
    let mut bridge = Running::start(command, &crate::support::unique_name("refused"), folder.path());
    let ended = bridge.wait(SOON);
    let output = bridge.output();
    assert_eq!(ended, code, "{shown}: {output}");
    for word in words {
        assert!(output.contains(word), "{shown}: no {word:?} in {output}");
    }
}

pub fn landed(admin: &Admin, stream: &str) -> Vec<Landed> {
    let state = admin.state(stream);
    if state.messages == 0 {
        return Vec::new();
    }
    admin.wait(async {
        let stream = admin.jetstream().get_stream(stream).await.unwrap();
        let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let mut all = Vec::new();
        while (all.len() as u64) < state.messages {
            let message = messages.next().await.unwrap().unwrap();
            let sequence = message.info().unwrap().stream_sequence;
            let map = message.headers.clone().unwrap_or_default();
            let id = headers::id_of(&map).unwrap_or(MessageId::from_bytes([0; 16]));
            all.push(Landed { sequence, id, payload: message.payload.to_vec(), headers: map });
        }
        all
    })
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
