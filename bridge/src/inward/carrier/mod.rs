//! [`Carrier`]: the loop that asks, puts, acks and remembers.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the loop, what it hears, and its end |
//! | `place.rs` | one message: put, acked again, or refused |
//! | `due.rs` | what is due now and then |

mod due;
mod place;

use super::acks::Acks;
use super::pulls::Pulls;
use super::putter::Putter;
use super::seen::Seen;
use super::waits::Waits;
use super::watch::Note;
use super::{check_sequence, consumer, identity, words_for};
use crate::failure::Failure;
use crate::headers::Tag;
use crate::inward::seen::Refusal;
use crate::metrics::Counters;
use crate::queue::Named;
use crate::server::Server;
use crate::settings::InSettings;
use crate::stop::Stop;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Stream;
use async_nats::{Message, Subject, jetstream};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use shmq::DynQueue;
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::unconstrained;
use tokio::time::timeout;

/// How often the bridge sees to what is due.
const TICK: Duration = Duration::from_millis(50);
/// How long the client may take to accept what is sent: without a connection it does not.
const SEND: Duration = Duration::from_millis(200);
/// How often the consumer is asked for its floor, while that is of use; and how often anyway.
const ASK_SOON: Duration = Duration::from_secs(1);
const ASK_ANYWAY: Duration = Duration::from_secs(5);
/// How long the server may take to hear what is given back at the end.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// How often the queue's name is checked.
const NAME: Duration = Duration::from_secs(1);
/// How long a letter that could not be sent waits.
const LETTER_AGAIN: Duration = Duration::from_secs(5);

/// A message that came and was not put.
struct Held {
    sequence: u64,
    reply: Subject,
    message: Message,
    came: Instant,
}

/// Rounds of renewals.
#[derive(Default)]
struct Renewed {
    /// The last one that was sent whole, and when it began.
    round: u64,
    began: Option<Instant>,
    /// When the last one began that the server confirmed.
    confirmed: Option<Instant>,
}

enum Event {
    Message(Option<Message>),
    Answer(Option<Message>),
    Note(Note),
    Connected(u64),
    Tick,
    Stop,
}

/// One in bridge at work.
pub struct Carrier<'a> {
    settings: &'a InSettings,
    counters: &'a Counters,
    server: Server,
    stream: Stream,
    queue: DynQueue,
    nonce: u64,
    ring_bytes: usize,
    tag: Tag,
    putter: Putter,
    seen: Seen<'a, [AtomicU64]>,
    waits: Waits<'a>,
    acks: Acks,
    pulls: Pulls,
    held: VecDeque<Held>,
    ack_wait: Duration,
    notes: (Sender<Note>, Receiver<Note>),
    last: Times,
    renewed: Renewed,
    named: Named,
    /// When the consumer was made.
    consumer: u64,
    /// How often there was a connection; and whether the stream was found to be the same on this
    /// one (`mod.rs`, Invariant 7).
    connection: u64,
    is_verified: bool,
    unknown_runs: usize,
    letters_wait_until: Option<Instant>,
}

struct Times {
    tick: Instant,
    renewal: Instant,
    ask: Instant,
    asked_for_stream: Instant,
    progress: Instant,
    progress_puts: u64,
    name: Instant,
    alive: Instant,
}

impl<'a> Carrier<'a> {
    /// One that has asked for nothing yet.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] if the client is gone.
    #[allow(clippy::too_many_arguments, reason = "each is made, and checked, by its own step of the start")]
    pub async fn new(
        settings: &'a InSettings,
        server: &Server,
        stream: Stream,
        consumer: PullConsumer,
        queue: DynQueue,
        named: Named,
        putter: Putter,
        seen: Seen<'a, [AtomicU64]>,
        waits: Waits<'a>,
        counters: &'a Counters,
    ) -> Result<Carrier<'a>, Failure> {
        let ack_wait = consumer.cached_info().config.ack_wait;
        let made = consumer::created(consumer.cached_info());
        let now = Instant::now();
        Ok(Carrier {
            settings,
            counters,
            stream,
            nonce: queue.nonce(),
            ring_bytes: queue.max_len(),
            tag: Tag::of(queue.layout()),
            queue,
            putter,
            seen,
            waits,
            acks: Acks::new(&server.client).await?,
            pulls: Pulls::new(&server.client, consumer, settings.prefetch).await?,
            held: VecDeque::new(),
            ack_wait: if ack_wait.is_zero() { settings.ack_wait.get() } else { ack_wait },
            notes: mpsc::channel(64),
            last: Times {
                tick: now,
                renewal: now,
                ask: now,
                asked_for_stream: now,
                progress: now,
                progress_puts: 0,
                name: now,
                alive: now,
            },
            renewed: Renewed::default(),
            named,
            consumer: made,
            connection: 0,
            is_verified: false,
            unknown_runs: 1,
            letters_wait_until: None,
            server: server.clone(),
        })
    }

    /// Carries until it is asked to end, then drains.
    ///
    /// # Errors
    /// [`Failure`]; nothing was lost.
    pub async fn run(&mut self, stop: &Stop) -> Result<(), Failure> {
        let mut connections = self.server.connections.clone();
        self.connection = *connections.borrow_and_update();
        self.watch(true);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                message = self.pulls.messages.next() => Event::Message(message),
                answer = self.acks.answers.next() => Event::Answer(answer),
                Some(note) = self.notes.1.recv() => Event::Note(note),
                Ok(()) = connections.changed() => Event::Connected(*connections.borrow_and_update()),
                _ = ticks.tick() => Event::Tick,
                () = stop.wait() => Event::Stop,
            };
            if matches!(event, Event::Stop) {
                return self.drain().await;
            }
            // A message of the old subscription is as old as the gap, at least.
            if !(self.mind_a_gap().await? && matches!(event, Event::Message(_))) {
                self.heed(event).await?;
            }
            self.receive()?;
            while let Some(held) = self.held.pop_front() {
                if !self.take(held, stop).await? {
                    return self.drain().await;
                }
            }
            self.flush().await;
            self.ask().await;
        }
    }

    async fn heed(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Message(Some(message)) => self.hold(message),
            Event::Answer(Some(answer)) => {
                self.confirmed_by(&answer);
                Ok(())
            }
            Event::Message(None) | Event::Answer(None) => {
                Err(Failure::Unreachable { server: self.server.address.clone(), why: "the connection was closed".into() })
            }
            Event::Note(note) => self.note(note).await,
            Event::Connected(connection) => {
                (self.connection, self.is_verified) = (connection, false);
                self.pulls.forget();
                self.acks.send_again(true);
                self.counters.in_reconnects.fetch_add(1, Relaxed);
                self.watch(true);
                Ok(())
            }
            Event::Tick => self.tick().await,
            Event::Stop => Ok(()),
        }
    }

    /// Takes what has come, without waiting. All of it: the runtime lets a task have 128 items before
    /// it must wait for something, and what is left in the subscription is not renewed.
    fn receive(&mut self) -> Result<(), Failure> {
        while self.held.len() < 2 * self.settings.prefetch {
            let Some(Some(message)) = unconstrained(self.pulls.messages.next()).now_or_never() else { break };
            self.hold(message)?;
        }
        while let Some(Some(answer)) = unconstrained(self.acks.answers.next()).now_or_never() {
            self.confirmed_by(&answer);
        }
        Ok(())
    }

    fn hold(&mut self, message: Message) -> Result<(), Failure> {
        let Some(message) = self.pulls.sort(message) else { return Ok(()) };
        let Some(reply) = message.reply.clone() else { return Ok(()) };
        let delivered = jetstream::Message { message, context: self.server.jetstream.clone() };
        let Ok(sequence) = delivered.info().map(|info| info.stream_sequence) else {
            tracing::warn!(reply = %reply, "in: a message whose place in the stream cannot be read");
            return Ok(());
        };
        self.held.push_back(Held { sequence, reply, message: delivered.message, came: Instant::now() });
        Ok(())
    }

    fn confirmed_by(&mut self, answer: &Message) {
        if let Some(sequence) = self.acks.confirmed_by(answer) {
            self.confirmed(sequence);
        } else if self.acks.round_of(answer) == Some(self.renewed.round) {
            self.renewed.confirmed = self.renewed.began;
        }
    }

    fn confirmed(&mut self, sequence: u64) {
        self.counters.in_acked.fetch_add(1, Relaxed);
        self.seen.confirm(sequence);
        self.waits.confirmed(sequence);
    }

    async fn note(&mut self, note: Note) -> Result<(), Failure> {
        match note {
            Note::Consumer { floor, created, config } => {
                let found = consumer::unfit(&config, self.settings);
                if !found.is_empty() {
                    return Err(consumer::refuse(self.settings, &found));
                }
                consumer::check_created(self.settings, &self.stream, created, self.consumer, self.seen.highest())?;
                for sequence in self.acks.confirmed_up_to(floor) {
                    self.confirmed(sequence);
                }
                self.seen.confirm_up_to(floor);
                self.waits.confirmed_up_to(floor);
                Ok(())
            }
            Note::Stream { last, created, highest, config, connection } => {
                consumer::check(&config, self.settings)?;
                if created != consumer::made(&self.stream) {
                    return Err(identity(self.settings, words_for(Refusal::Stream)));
                }
                check_sequence(highest, last, self.settings)?;
                self.is_verified |= connection == self.connection;
                Ok(())
            }
            Note::NoStream => Err(Failure::NoStream { stream: self.settings.stream.clone() }),
            Note::NoConsumer => Err(Failure::Stream {
                stream: self.settings.stream.clone(),
                why: format!(
                    "its consumer \"{}\" was deleted while it was used; start the bridge again",
                    self.settings.consumer()
                ),
            }),
            Note::Letter(sequence, reply, sent) => {
                let is_sent = sent.is_ok();
                match sent {
                    Ok(true) => {
                        self.counters.in_dead_letters.fetch_add(1, Relaxed);
                    }
                    Ok(false) => tracing::warn!(sequence, "in: a message for the dead letters is not in the stream any more"),
                    Err(why) => {
                        tracing::error!(sequence, why, "in: a dead letter cannot be sent; the message stays in the stream");
                        self.letters_wait_until = Some(Instant::now() + LETTER_AGAIN);
                    }
                }
                self.waits.buried(sequence, is_sent);
                if is_sent {
                    self.acks.push(sequence, reply);
                }
                Ok(())
            }
        }
    }

    async fn flush(&mut self) {
        if self.is_connected() && self.is_verified {
            let _ = timeout(SEND, self.acks.flush()).await;
        }
    }

    async fn ask(&mut self) {
        let held = self.held.len();
        if self.is_connected() && self.is_verified {
            let _ = timeout(SEND, self.pulls.ask(held)).await;
        }
    }

    /// Gives back what was not put, so that the next bridge gets it at once, and before what is newer.
    /// The client's flush ends before all is written: the answer to the last one says that the
    /// server has them all.
    async fn give_back(&mut self) {
        let given_back: Vec<Subject> = self.held.drain(..).map(|held| held.reply).collect();
        let Some((last, others)) = given_back.split_last().filter(|_| self.is_verified) else { return };
        let (client, nak) = (self.server.client.clone(), Bytes::from_static(b"-NAK"));
        for reply in others {
            let _ = client.publish(reply.clone(), nak.clone()).await;
        }
        self.renewed.round += 1;
        let answer_to = self.acks.answer_to_round(self.renewed.round);
        if client.publish_with_reply(last.clone(), answer_to, nak).await.is_err() {
            return;
        }
        while let Some(answer) = self.acks.answers.next().await {
            if self.acks.round_of(&answer) == Some(self.renewed.round) {
                return;
            }
            self.confirmed_by(&answer);
        }
    }

    /// Gives back what was not put, and waits for the answers to acks.
    async fn drain(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + self.settings.drain.get();
        self.receive()?;
        let _ = timeout(GIVE_BACK.min(self.settings.drain.get()), self.give_back()).await;
        while self.acks.len() > 0 && Instant::now() < end {
            self.flush().await;
            if let Ok(Some(answer)) = timeout(TICK, self.acks.answers.next()).await {
                self.confirmed_by(&answer);
            }
            self.tick().await?;
            while let Ok(note) = self.notes.1.try_recv() {
                self.note(note).await?;
            }
        }
        let _ = timeout(SEND, self.server.client.flush()).await;
        self.seen.pass_time(0, u64::MAX);
        tracing::info!(queue = self.settings.queue, put = self.counters.in_put.load(Relaxed), "in: ended");
        match self.acks.len() {
            0 => Ok(()),
            left => {
                Err(Failure::Undrained { queue: self.settings.queue.clone(), left, seconds: self.settings.drain.get().as_secs() })
            }
        }
    }
}
