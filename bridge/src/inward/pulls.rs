//! [`Pulls`]: asking the durable consumer for messages, on one subscription, so that their order
//! stays.
//!
//! ```text
//!   asked 0 --ask(n)--> asked n --message--> n-1 ... --less than half--> ask again
//!             \--the server says that a request ended with k to come--> n-k
//!             \--reconnected, or no sign of life for two heartbeats----> 0
//! ```
//!
//! A count that is too low asks for a little more than `prefetch`; one that is too high is set to 0
//! by the next sign of a request's end, or by the heartbeat that is missing.

use crate::failure::Failure;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::{Client, Message, Subject, Subscriber};
use std::time::{Duration, Instant};

/// How long the server keeps a request.
const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A request ends when it has had so many bytes, however few messages: they wait in this process. Two
/// of them may be under way, and a server closes a connection for which more than its `max_pending`
/// waits, 64 MiB unless it is set: what was on the way then comes later, behind newer ones.
const MOST_BYTES: usize = 24 << 20;
/// What a request counts beside the payload: subjects and headers.
const BESIDE_PAYLOAD: usize = 64 << 10;

/// Requests that are under way, and their messages.
pub struct Pulls {
    /// What the server sends: messages, and its words on requests.
    pub messages: Subscriber,
    inbox: Subject,
    client: Client,
    consumer: PullConsumer,
    prefetch: usize,
    asked: usize,
    last_sign: Instant,
    last_ask: Instant,
}

impl Pulls {
    /// None yet.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] if the client is gone.
    pub async fn new(client: &Client, consumer: PullConsumer, prefetch: usize) -> Result<Pulls, Failure> {
        let inbox: Subject = client.new_inbox().into();
        let messages = client.subscribe(inbox.clone()).await.map_err(|error| gone(&error))?;
        let now = Instant::now();
        Ok(Pulls { messages, inbox, client: client.clone(), consumer, prefetch, asked: 0, last_sign: now, last_ask: now })
    }

    /// Asks for more, if fewer than half are to come. `held`: those that came and were not put.
    pub async fn ask(&mut self, held: usize) {
        if self.asked > 0 && self.last_sign.max(self.last_ask).elapsed() > 2 * HEARTBEAT {
            self.asked = 0;
        }
        let on_the_way = self.asked + held;
        if on_the_way * 2 > self.prefetch {
            return;
        }
        let batch = self.prefetch - on_the_way;
        // A request must have room for the largest message, which would never come.
        let largest = self.client.server_info().max_payload + BESIDE_PAYLOAD;
        let config = BatchConfig {
            batch,
            max_bytes: MOST_BYTES.max(largest),
            expires: Some(EXPIRES),
            idle_heartbeat: HEARTBEAT,
            ..BatchConfig::default()
        };
        // An error is a connection that is lost: it is asked again when it is back.
        if self.consumer.request_batch(config, self.inbox.clone()).await.is_ok() {
            self.asked += batch;
            self.last_ask = Instant::now();
        }
    }

    /// Nothing that is on the way is wanted any more: it is not acked, and so comes again.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] if the client is gone.
    pub async fn begin_anew(&mut self) -> Result<(), Failure> {
        let inbox: Subject = self.client.new_inbox().into();
        let messages = self.client.subscribe(inbox.clone()).await.map_err(|error| gone(&error))?;
        // The old subscription ends with what has come by it.
        (self.inbox, self.messages, self.asked) = (inbox, messages, 0);
        Ok(())
    }

    /// The connection is new: the server has forgotten what was asked.
    pub fn forget(&mut self) {
        self.asked = 0;
    }

    /// Sorts what came: a message of the stream, or nothing that is to be put.
    pub fn sort(&mut self, message: Message) -> Option<Message> {
        self.last_sign = Instant::now();
        let Some(status) = message.status else {
            self.asked = self.asked.saturating_sub(1);
            return Some(message);
        };
        match status.as_u16() {
            100 => {}
            code => {
                tracing::debug!(code, description = message.description, "in: a request ended");
                let left = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
                let left = left.and_then(|left| left.as_str().parse().ok()).unwrap_or(self.asked);
                self.asked = self.asked.saturating_sub(left);
            }
        }
        None
    }
}

pub(super) fn gone(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unreachable { server: "the server".into(), why: error.to_string() }
}
