//! [`Acks`]: acks are sent until the server confirms them.
//!
//! ```text
//!   push --> unsent --flush--> sent --the server's answer, or its floor--> confirmed
//!                                ^  \--2 s without an answer, reconnected--+
//!                                +-----------------------------------------+
//! ```

use super::pulls::gone;
use crate::failure::Failure;
use async_nats::{Client, Message, Subject, Subscriber};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

const AGAIN_AFTER: Duration = Duration::from_secs(2);

struct Ack {
    reply: Subject,
    sent: Option<Instant>,
}

/// Acks that are not confirmed.
pub struct Acks {
    /// The server's answers.
    pub answers: Subscriber,
    client: Client,
    inbox: String,
    unconfirmed: HashMap<u64, Ack>,
    unsent: VecDeque<u64>,
}

impl Acks {
    /// None yet.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] if the client is gone.
    pub async fn new(client: &Client) -> Result<Acks, Failure> {
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await.map_err(|error| gone(&error))?;
        Ok(Acks { answers, client: client.clone(), inbox, unconfirmed: HashMap::new(), unsent: VecDeque::new() })
    }

    /// A message is to be acked. One that came again is acked by its newest delivery.
    pub fn push(&mut self, sequence: u64, reply: Subject) {
        self.unconfirmed.insert(sequence, Ack { reply, sent: None });
        self.unsent.push_back(sequence);
    }

    /// Sends what was not sent. Cancel-safe: what is left is sent by the next call.
    pub async fn flush(&mut self) {
        while let Some(&sequence) = self.unsent.front() {
            if let Some(ack) = self.unconfirmed.get_mut(&sequence) {
                let answer = format!("{}.{sequence}", self.inbox);
                if self.client.publish_with_reply(ack.reply.clone(), answer, Bytes::from_static(b"+ACK")).await.is_err() {
                    return;
                }
                ack.sent = Some(Instant::now());
            }
            self.unsent.pop_front();
        }
    }

    /// Which ack does that answer confirm?
    pub fn confirmed_by(&mut self, answer: &Message) -> Option<u64> {
        // 503: nothing listens, the consumer is gone. That confirms nothing.
        if answer.status.is_some() {
            return None;
        }
        let sequence = answer.subject.as_str().rsplit('.').next()?.parse().ok()?;
        self.unconfirmed.remove(&sequence).map(|_| sequence)
    }

    /// Where the answer to a round of renewals goes to.
    pub fn answer_to_round(&self, round: u64) -> String {
        format!("{}.round-{round}", self.inbox)
    }

    /// Which round of renewals does that answer confirm?
    pub fn round_of(&self, answer: &Message) -> Option<u64> {
        let last = answer.subject.as_str().rsplit('.').next()?;
        last.strip_prefix("round-").filter(|_| answer.status.is_none())?.parse().ok()
    }

    /// The server says that all up to this sequence are acked: those whose answers were lost.
    pub fn confirmed_up_to(&mut self, floor: u64) -> Vec<u64> {
        let below: Vec<u64> = self.unconfirmed.keys().copied().filter(|&sequence| sequence <= floor).collect();
        below.iter().for_each(|sequence| drop(self.unconfirmed.remove(sequence)));
        below
    }

    /// Sends again what has had no answer for 2 s; all of it, on a new connection.
    pub fn send_again(&mut self, is_new_connection: bool) {
        for (&sequence, ack) in &mut self.unconfirmed {
            if ack.sent.is_some_and(|sent| is_new_connection || sent.elapsed() > AGAIN_AFTER) {
                ack.sent = None;
                self.unsent.push_back(sequence);
            }
        }
    }

    /// How many are not confirmed.
    pub fn len(&self) -> usize {
        self.unconfirmed.len()
    }

    /// Has one been without an answer for so long that the consumer should be asked?
    pub fn has_old(&self) -> bool {
        self.unconfirmed.values().any(|ack| ack.sent.is_some_and(|sent| sent.elapsed() > AGAIN_AFTER / 2))
    }
}
