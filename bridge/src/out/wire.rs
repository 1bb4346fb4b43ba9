//! Publishing, and acks: one subscription for all of them, and the sequence in the reply's subject.

use crate::headers::{ID, Tag};
use crate::server::{Refused, Server};
use async_nats::header::NATS_EXPECTED_LAST_SEQUENCE;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{HeaderMap, HeaderValue, Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use shmq::MessageId;
use std::time::Duration;
use tokio::time::timeout;

/// What became of a message that was sent.
#[derive(Debug)]
pub(super) enum Ack {
    /// It is in the stream, at that sequence.
    Landed(u64),
    /// It is not known whether it is.
    Trouble(Trouble),
}

/// Why it is not known.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No stream listens to the subject: the server starts, or the stream is gone.
    NoStream,
    /// The server did not take it, or not in time, or the connection broke.
    Unknown(String),
    /// The stream said no.
    Refused(Refused),
    /// The message of that sequence is larger than the server takes.
    TooLarge(u64),
}

pub(super) struct Wire<'a> {
    server: &'a Server,
    stream: &'a str,
    subject: Subject,
    headers: HeaderMap,
    /// Where acks come to: `inbox.epoch.sequence`. Those of an earlier epoch are ignored.
    inbox: String,
    epoch: u64,
    acks: Subscriber,
    patience: Duration,
    header_bytes: usize,
    /// What the stream takes, with headers.
    stream_max: usize,
    max_message_bytes: usize,
}

impl<'a> Wire<'a> {
    /// # Errors
    /// In words: the subscription failed.
    pub(super) async fn over(
        server: &'a Server,
        stream: &'a str,
        subject: &str,
        tag: &Tag,
        patience: Duration,
    ) -> Result<Wire<'a>, String> {
        let inbox = server.client.new_inbox();
        let acks = server.client.subscribe(format!("{inbox}.*.*")).await.map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        tag.write(&mut headers);
        let header_bytes = bytes_of(&headers);
        let mut wire = Wire {
            server,
            stream,
            subject: subject.into(),
            headers,
            inbox,
            epoch: 0,
            acks,
            patience,
            header_bytes,
            stream_max: usize::MAX,
            max_message_bytes: 0,
        };
        wire.forget_what_was_sent();
        Ok(wire)
    }

    /// Bytes that the headers of a message take.
    pub(super) fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// The largest message that the server takes.
    pub(super) fn max_message_bytes(&self) -> usize {
        self.max_message_bytes
    }

    /// Acks of what was sent before are ignored from now on. The server may be another one.
    pub(super) fn forget_what_was_sent(&mut self) {
        self.epoch += 1;
        let max = self.server.client.server_info().max_payload.min(self.stream_max);
        self.max_message_bytes = max.saturating_sub(self.header_bytes);
    }

    /// The stream takes messages of so many bytes, with their headers; 0 or less: any.
    pub(super) fn set_stream_max(&mut self, bytes: i32) {
        self.stream_max = usize::try_from(bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(usize::MAX);
        self.forget_what_was_sent();
    }

    /// Sends one message, which must get that sequence.
    ///
    /// # Errors
    /// [`Trouble`]: it may have been sent, or not.
    pub(super) async fn publish(&self, sequence: u64, id: MessageId, payload: &[u8]) -> Result<(), Trouble> {
        if payload.len() > self.max_message_bytes {
            return Err(Trouble::TooLarge(sequence));
        }
        let send = || {
            let mut headers = self.headers.clone();
            headers.insert(ID, HeaderValue::from(id.to_string()));
            headers.insert(NATS_EXPECTED_LAST_SEQUENCE, HeaderValue::from(sequence - 1));
            let reply = Subject::from(format!("{}.{}.{sequence}", self.inbox, self.epoch));
            let payload = Bytes::copy_from_slice(payload);
            self.server.client.publish_with_reply_and_headers(self.subject.clone(), reply, headers, payload)
        };
        let sent = match send().now_or_never() {
            Some(sent) => sent,
            // The client has much to send. While the connection is broken it takes no more.
            None => timeout(self.patience, send()).await.map_err(|_| Trouble::Unknown("the connection takes no more".into()))?,
        };
        sent.map_err(|error| Trouble::Unknown(error.to_string()))
    }

    /// The next ack of this epoch.
    pub(super) async fn next_ack(&mut self) -> Ack {
        loop {
            let Some(message) = self.acks.next().await else {
                // The client ended: it does not while this has it.
                return std::future::pending().await;
            };
            if let Some(ack) = self.ack_of(&message) {
                return ack;
            }
        }
    }

    /// The same, if one is there already.
    pub(super) fn ack_at_once(&mut self) -> Option<Ack> {
        self.next_ack().now_or_never()
    }

    fn ack_of(&self, message: &Message) -> Option<Ack> {
        let numbers = message.subject.as_str().strip_prefix(self.inbox.as_str())?.strip_prefix('.')?;
        let (epoch, sequence) = numbers.split_once('.')?;
        let (epoch, sequence): (u64, u64) = (epoch.parse().ok()?, sequence.parse().ok()?);
        if epoch != self.epoch {
            return None;
        }
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Some(Ack::Trouble(Trouble::NoStream));
        }
        Some(match serde_json::from_slice::<Response<PublishAck>>(&message.payload) {
            Ok(Response::Ok(ack)) if ack.stream == self.stream && ack.sequence == sequence => Ack::Landed(sequence),
            Ok(Response::Ok(ack)) => {
                let why = format!("message {sequence} was confirmed at {} of stream \"{}\"", ack.sequence, ack.stream);
                Ack::Trouble(Trouble::Unknown(why))
            }
            Ok(Response::Err { error }) => Ack::Trouble(Trouble::Refused(Refused::of(&error))),
            Err(error) => Ack::Trouble(Trouble::Unknown(format!("an ack that is not understood: {error}"))),
        })
    }
}

/// What the headers of a message take at most on the wire, with id and expected sequence.
fn bytes_of(headers: &HeaderMap) -> usize {
    let mut headers = headers.clone();
    headers.insert(ID, "0".repeat(32));
    headers.insert(NATS_EXPECTED_LAST_SEQUENCE, HeaderValue::from(u64::MAX));
    let line = |name: &str, value: &str| name.len() + 2 + value.len() + 2;
    let lines = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| line(name.as_ref(), value.as_str())));
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>()
}
