//! [`Carrier`]: the loop that asks, puts, acks and remembers.

use super::acks::Acks;
use super::pulls::Pulls;
use super::putter::{Attempt, Putter};
use super::seen::Seen;
use super::waits::{Ended, Waits};
use super::watch::{self, Note};
use super::{check_sequence, consumer, identity, letters, words_for};
use crate::failure::Failure;
use crate::headers::Tag;
use crate::inward::seen::Refusal;
use crate::metrics::Counters;
use crate::server::Server;
use crate::settings::{AckOn, InSettings};
use crate::stop::Stop;
use async_nats::connection::State;
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
use tokio::time::timeout;

/// How often the bridge sees to what is due.
const TICK: Duration = Duration::from_millis(50);
/// How long a put waits for room between two ticks.
const ROOM: Duration = Duration::from_millis(20);
/// How long the client may take to accept what is sent: without a connection it does not.
const SEND: Duration = Duration::from_millis(200);
/// How often the consumer is asked for its floor, while that is of use; and how often anyway.
const ASK_SOON: Duration = Duration::from_secs(1);
const ASK_ANYWAY: Duration = Duration::from_secs(10);
/// How long a letter that could not be sent waits.
const LETTER_AGAIN: Duration = Duration::from_secs(5);

/// A message that came and was not put.
struct Held {
    sequence: u64,
    reply: Subject,
    message: Message,
}

enum Event {
    Message(Option<Message>),
    Answer(Option<Message>),
    Note(Note),
    Connected,
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
        putter: Putter,
        seen: Seen<'a, [AtomicU64]>,
        waits: Waits<'a>,
        counters: &'a Counters,
    ) -> Result<Carrier<'a>, Failure> {
        let ack_wait = consumer.cached_info().config.ack_wait;
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
            last: Times { tick: now, renewal: now, ask: now, asked_for_stream: now, progress: now, progress_puts: 0 },
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
        connections.mark_unchanged();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.ask().await;
        loop {
            let event = tokio::select! {
                message = self.pulls.messages.next() => Event::Message(message),
                answer = self.acks.answers.next() => Event::Answer(answer),
                Some(note) = self.notes.1.recv() => Event::Note(note),
                Ok(()) = connections.changed() => Event::Connected,
                _ = ticks.tick() => Event::Tick,
                () = stop.wait() => Event::Stop,
            };
            if matches!(event, Event::Stop) {
                return self.drain().await;
            }
            self.heed(event).await?;
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
            Event::Connected => {
                self.pulls.forget();
                self.acks.send_again(true);
                self.counters.in_reconnects.fetch_add(1, Relaxed);
                self.watch(true);
                Ok(())
            }
            Event::Tick => {
                self.tick().await;
                Ok(())
            }
            Event::Stop => Ok(()),
        }
    }

    /// Takes what has come, without waiting.
    fn receive(&mut self) -> Result<(), Failure> {
        while self.held.len() < self.settings.prefetch {
            let Some(Some(message)) = self.pulls.messages.next().now_or_never() else { break };
            self.hold(message)?;
        }
        while let Some(Some(answer)) = self.acks.answers.next().now_or_never() {
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
        self.held.push_back(Held { sequence, reply, message: delivered.message });
        Ok(())
    }

    /// Puts a message, or acks it again. `false`: the bridge was asked to end first.
    async fn take(&mut self, held: Held, stop: &Stop) -> Result<bool, Failure> {
        let sequence = held.sequence;
        if self.seen.knows(sequence) {
            self.counters.in_known.fetch_add(1, Relaxed);
            if !self.waits.came_again(sequence, &held.reply) {
                self.acks.push(sequence, held.reply);
            }
            return Ok(true);
        }
        if let Some(headers) = &held.message.headers
            && let Err(why) = self.tag.check(headers)
        {
            return self.refuse(held, why).map(|()| true);
        }
        let waits_for_workers = self.settings.ack_on == AckOn::Done;
        // What is certain: by copy into the ring, by the side's owner (`Seen`, Invariant 3).
        let is_certain = self.putter.is_owner() && held.message.payload.len() <= self.ring_bytes;
        let mut is_begun = false;
        let mut wait = Duration::ZERO;
        loop {
            if !is_begun && (!waits_for_workers || self.waits.has_room()) {
                is_begun = self.seen.begin(sequence, is_certain);
            }
            if is_begun {
                let (words, slot) = (self.waits.words(), self.waits.next_slot());
                let announce = |id| {
                    if waits_for_workers {
                        Waits::note(words, slot, sequence, id);
                    }
                };
                match self.putter.put(&self.queue, &held.message.payload, wait, announce) {
                    Ok(Attempt::Put) => break,
                    Ok(Attempt::NoRoom) => {}
                    Ok(Attempt::Refused(why)) => {
                        self.take_back();
                        return self.refuse(held, why).map(|()| true);
                    }
                    Err(failure) => {
                        self.take_back();
                        return Err(failure);
                    }
                }
            }
            // No room, in the queue or in the journal. What is due goes on meanwhile.
            if wait.is_zero() {
                self.counters.in_full.fetch_add(1, Relaxed);
            }
            wait = ROOM;
            if !is_begun {
                tokio::time::sleep(ROOM).await;
            }
            self.held.push_front(held_again(&held));
            let due = self.see_to_what_is_due().await;
            self.held.pop_front();
            if due.is_err() || stop.is_set() {
                if is_begun {
                    self.take_back();
                }
                self.held.push_front(held);
                return due.map(|()| false);
            }
        }
        self.seen.settle();
        self.counters.in_put.fetch_add(1, Relaxed);
        match waits_for_workers {
            true => self.waits.put(sequence, self.nonce, held.reply),
            false => self.acks.push(sequence, held.reply),
        }
        Ok(true)
    }

    fn take_back(&mut self) {
        self.seen.take_back(self.queue.stats().puts);
        self.waits.take_back();
    }

    /// While a put waits for room: acks, answers, renewals, notes.
    async fn see_to_what_is_due(&mut self) -> Result<(), Failure> {
        while let Some(Some(answer)) = self.acks.answers.next().now_or_never() {
            self.confirmed_by(&answer);
        }
        while let Ok(note) = self.notes.1.try_recv() {
            self.note(note).await?;
        }
        // The client's tasks run on another thread; this one waits in the queue most of the time.
        if self.last.tick.elapsed() >= TICK {
            self.tick().await;
        }
        self.flush().await;
        Ok(())
    }

    /// A message that the queue does not take goes to the dead letters, if the settings name them.
    fn refuse(&mut self, held: Held, why: String) -> Result<(), Failure> {
        let sequence = held.sequence;
        if self.settings.dead_letters.is_some() {
            tracing::warn!(sequence, why, "in: a message goes to the dead letters");
            self.bury(sequence, held.reply, why);
            return Ok(());
        }
        let why = format!(
            "message {sequence} of the stream \"{}\" is not for this queue: {why}. It stays in the stream; --dead-letters names a \
             subject for such messages",
            self.settings.stream
        );
        Err(Failure::Type { queue: self.settings.queue.clone(), why })
    }

    fn bury(&self, sequence: u64, reply: Subject, why: String) {
        let (jetstream, stream, notes) = (self.server.jetstream.clone(), self.stream.clone(), self.notes.0.clone());
        let subject = self.settings.dead_letters();
        tokio::spawn(async move {
            let sent = letters::send(&jetstream, &stream, &subject, sequence, &why).await;
            let _ = notes.send(Note::Letter(sequence, reply, sent)).await;
        });
    }

    fn confirmed_by(&mut self, answer: &Message) {
        if let Some(sequence) = self.acks.confirmed_by(answer) {
            self.confirmed(sequence);
        }
    }

    fn confirmed(&mut self, sequence: u64) {
        self.counters.in_acked.fetch_add(1, Relaxed);
        self.seen.confirm(sequence);
        self.waits.confirmed(sequence);
    }

    async fn note(&mut self, note: Note) -> Result<(), Failure> {
        match note {
            Note::Floor(floor) => {
                for sequence in self.acks.confirmed_up_to(floor) {
                    self.confirmed(sequence);
                }
                self.seen.confirm_up_to(floor);
                self.waits.confirmed_up_to(floor);
                Ok(())
            }
            Note::Stream { last, created } => {
                if created != consumer::created(&self.stream) {
                    return Err(identity(self.settings, words_for(Refusal::Stream)));
                }
                check_sequence(&self.seen, last, self.settings)
            }
            Note::NoStream => Err(Failure::NoStream { stream: self.settings.stream.clone() }),
            Note::NoConsumer => Err(Failure::Stream {
                stream: self.settings.stream.clone(),
                why: format!(
                    "its consumer \"{}\" is gone; started again, the bridge makes it anew, and what was acked comes again from a \
                     stream that keeps it (limits retention)",
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

    async fn tick(&mut self) {
        let passed = self.last.tick.elapsed();
        self.last.tick = Instant::now();
        let is_connected = self.is_connected();
        let connected = if is_connected { passed.as_millis() as u64 } else { 0 };
        self.unknown_runs = self.seen.pass_time(connected, self.settings.remember.get().as_millis() as u64);
        if self.settings.ack_on == AckOn::Done {
            self.see_to_workers();
        }
        if is_connected {
            self.acks.send_again(false);
            if self.last.renewal.elapsed() >= self.ack_wait / 3 {
                self.last.renewal = Instant::now();
                let _ = timeout(SEND, self.renew()).await;
            }
            let is_of_use = self.unknown_runs > 0 || self.acks.has_old();
            if self.last.ask.elapsed() >= if is_of_use { ASK_SOON } else { ASK_ANYWAY } {
                self.watch(self.last.asked_for_stream.elapsed() >= ASK_ANYWAY);
            }
        }
        self.show_progress();
    }

    fn is_connected(&self) -> bool {
        self.server.client.connection_state() == State::Connected
    }

    fn see_to_workers(&mut self) {
        if self.letters_wait_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.letters_wait_until = None;
        let Ended { done, given_up } = self.waits.ended(&self.queue);
        for (sequence, reply) in done {
            self.acks.push(sequence, reply);
        }
        for (sequence, reply) in given_up {
            self.counters.in_given_up.fetch_add(1, Relaxed);
            self.bury(sequence, reply, "given up by the queue: it was delivered as often as max_deliveries allows".into());
        }
    }

    /// Signs of life for all that is not acked (`mod.rs`, Invariant 4).
    async fn renew(&mut self) {
        let client = self.server.client.clone();
        let replies = self.held.iter().map(|held| &held.reply).chain(self.waits.replies());
        for reply in replies {
            if client.publish(reply.clone(), Bytes::from_static(b"+WPI")).await.is_err() {
                return;
            }
        }
    }

    /// Asks the server, in a task of its own.
    fn watch(&mut self, for_stream_too: bool) {
        self.last.ask = Instant::now();
        if for_stream_too {
            self.last.asked_for_stream = self.last.ask;
        }
        let (jetstream, stream, notes) = (self.server.jetstream.clone(), self.stream.clone(), self.notes.0.clone());
        tokio::spawn(watch::ask(jetstream, stream, self.settings.consumer(), for_stream_too, notes));
    }

    async fn flush(&mut self) {
        if self.is_connected() {
            let _ = timeout(SEND, self.acks.flush()).await;
        }
    }

    async fn ask(&mut self) {
        let held = self.held.len();
        if self.is_connected() {
            let _ = timeout(SEND, self.pulls.ask(held)).await;
        }
    }

    fn show_progress(&mut self) {
        self.counters.in_unacked.store((self.acks.len() + self.waits.len()) as u64, Relaxed);
        self.counters.in_remembered_runs.store(self.seen.kept() as u64, Relaxed);
        if self.last.progress.elapsed() < Duration::from_secs(10) {
            return;
        }
        self.last.progress = Instant::now();
        let puts = self.counters.in_put.load(Relaxed);
        if puts != self.last.progress_puts {
            tracing::info!(queue = self.settings.queue, put = puts, unacked = self.acks.len() + self.waits.len(), "in: progress");
            self.last.progress_puts = puts;
        }
    }

    /// Gives back what was not put, and waits for the answers to acks.
    async fn drain(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + self.settings.drain.get();
        self.receive()?;
        let given_back: Vec<Subject> = self.held.drain(..).map(|held| held.reply).collect();
        let client = self.server.client.clone();
        let give_back = async {
            for reply in given_back {
                let _ = client.publish(reply, Bytes::from_static(b"-NAK")).await;
            }
        };
        let _ = timeout(SEND, give_back).await;
        while self.acks.len() > 0 && Instant::now() < end {
            self.flush().await;
            if let Ok(Some(answer)) = timeout(TICK, self.acks.answers.next()).await {
                self.confirmed_by(&answer);
            }
            self.tick().await;
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

/// The same message once more, for its renewal while it waits.
fn held_again(held: &Held) -> Held {
    Held { sequence: held.sequence, reply: held.reply.clone(), message: held.message.clone() }
}
