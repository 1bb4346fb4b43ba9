//! [`Failure`]: why a bridge ended, in words, and its exit code.

use std::path::PathBuf;

/// Why a bridge ended. Nothing is lost by any of them: what was not acknowledged is still in the
/// queue, or in the stream.
///
/// The exit codes are documented in the README, and stay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command line or the file of settings cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The file of settings cannot be read.
    #[error("the file of settings {} cannot be read: {why}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A queue or topic cannot be opened, or cannot be bridged.
    #[error("queue \"{queue}\": {why}")]
    Queue {
        /// Its name.
        queue: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Another process has what only one may have.
    #[error("queue \"{queue}\": {why}")]
    Held {
        /// The queue's name.
        queue: String,
        /// Which side, or which bridge's name.
        why: String,
    },
    /// No server answers.
    #[error("no server could be reached at {server}: {why}")]
    Unreachable {
        /// The addresses that were tried.
        server: String,
        /// What the last try ended with.
        why: String,
    },
    /// The server refuses these credentials, or lacks some.
    #[error("the server at {server} refuses the credentials: {why}")]
    Credentials {
        /// Its address.
        server: String,
        /// In its words.
        why: String,
    },
    /// The server has no JetStream.
    #[error(
        "the server at {server} has no JetStream for this account: {why}; start it with `nats-server -js`, or enable it for the account"
    )]
    NoJetStream {
        /// Its address.
        server: String,
        /// In its words.
        why: String,
    },
    /// There is no such stream.
    #[error("there is no stream \"{stream}\"; make it, or let the bridge make it with --create")]
    NoStream {
        /// Its name.
        stream: String,
    },
    /// The stream is not as it must be.
    #[error("stream \"{stream}\" cannot be used: {why}")]
    Stream {
        /// Its name.
        stream: String,
        /// What differs, and what to do.
        why: String,
    },
    /// Queue, journal and stream do not belong together.
    #[error("queue \"{queue}\", stream \"{stream}\": {why}")]
    Identity {
        /// The queue.
        queue: String,
        /// The stream.
        stream: String,
        /// Which of them is not what it was, and what to do.
        why: String,
    },
    /// The stream has a message that this bridge did not publish.
    #[error(
        "stream \"{stream}\": message {sequence} {found}, and is not the one that this bridge published there ({expected}): something else \
         publishes into the stream. Each out bridge needs a stream of its own: forbid others to publish into it, and start once with --adopt, \
         which begins behind that message; what was under way may double"
    )]
    Foreign {
        /// The stream.
        stream: String,
        /// The sequence.
        sequence: u64,
        /// What is there.
        found: String,
        /// The id that should be there.
        expected: String,
    },
    /// The messages of the two ends differ in type or schema.
    #[error("queue \"{queue}\": {why}")]
    Type {
        /// The queue.
        queue: String,
        /// Both types in words.
        why: String,
    },
    /// A message is larger than the server takes.
    #[error(
        "queue \"{queue}\": message {id} has {len} bytes, and the server takes {max} beside its headers. It is still in the queue, before all \
         later ones. Raise max_payload of the server (and max_msg_size of the stream), or take it out with `shmq get`"
    )]
    TooLarge {
        /// The queue.
        queue: String,
        /// The message.
        id: String,
        /// Its bytes.
        len: usize,
        /// What a message may have.
        max: usize,
    },
    /// The stream is full, and the bridge was asked to end then.
    #[error("stream \"{stream}\" is full: {why}; the messages wait in the queue")]
    Full {
        /// The stream.
        stream: String,
        /// In the server's words.
        why: String,
    },
    /// What was under way did not end in the time for draining.
    #[error(
        "queue \"{queue}\": {left} messages were still under way after {seconds} s of draining; they come first when the bridge starts again"
    )]
    Undrained {
        /// The queue.
        queue: String,
        /// Messages that were sent and not confirmed.
        left: usize,
        /// Seconds that were waited.
        seconds: u64,
    },
    /// The journal cannot be used.
    #[error("the journal \"{segment}\": {why}")]
    Journal {
        /// The name of its segment.
        segment: String,
        /// What is wrong with it.
        why: String,
    },
    /// A call of the operating system failed.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: String,
        /// The error.
        source: std::io::Error,
    },
}

impl Failure {
    /// The exit code of a bridge that ends with it. 0 is for one that was asked to end.
    ///
    /// ```
    /// use shmq_bridge::Failure;
    ///
    /// assert_eq!(Failure::NoStream { stream: "JOBS".into() }.exit_code(), 8);
    /// ```
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Os { .. } => 1,
            Failure::Settings(_) | Failure::Unreadable { .. } => 2,
            Failure::Queue { .. } => 3,
            Failure::Held { .. } => 4,
            Failure::Unreachable { .. } => 5,
            Failure::Credentials { .. } => 6,
            Failure::NoJetStream { .. } => 7,
            Failure::NoStream { .. } => 8,
            Failure::Stream { .. } => 9,
            Failure::Identity { .. } => 10,
            Failure::Foreign { .. } => 11,
            Failure::Type { .. } => 12,
            Failure::TooLarge { .. } => 13,
            Failure::Full { .. } => 14,
            Failure::Undrained { .. } => 15,
            Failure::Journal { .. } => 16,
        }
    }

    /// Of a queue or topic that could not be opened.
    pub fn open(queue: &str, error: &shmq::OpenError) -> Failure {
        let why = match error {
            shmq::OpenError::NotFound { .. } => "there is none of that name on this machine (`shmq ls` lists them)".to_owned(),
            error => error.to_string(),
        };
        Failure::Queue { queue: queue.to_owned(), why }
    }
}
