//! The loop of an out bridge: what `flight.rs` knows, and what the world says.

use super::bind::{gone, went_back};
use super::flight::{Fault, Flight, position_of};
use super::leases::{Lease, Leased, Leases};
use super::start::check;
use super::watch::Watch;
use super::wire::{Ack, Trouble, Wire};
use crate::failure::Failure;
use crate::metrics::Counters;
use crate::server::{self, Facts, Found, Mark, NotAnswered, Server};
use crate::settings::{OnFull, OutSettings};
use crate::stop::Stop;
use futures_util::{StreamExt, stream};
use shmq::{DynQueue, Fate};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Between two questions to a server that does not answer.
pub(super) const RETRY: Duration = Duration::from_millis(100);
/// The longest pause before sending again, where sending again changed nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A stream that is missing for so long is gone: a server that starts has its streams a little
/// later than it answers.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// Sequences that are read back at a time.
const READ_BACK: usize = 32;
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// Acks that are taken before messages are sent again.
const ACKS: usize = 1024;

/// An out bridge that carries.
pub(super) struct Bridge<'a> {
    settings: &'a OutSettings,
    counters: &'a Counters,
    stop: Stop,
    server: &'a Server,
    connections: watch::Receiver<u64>,
    wire: Wire<'a>,
    flight: Flight<'a, Lease>,
    /// That of the journal, which the stream's mark has.
    number: u64,
    queue: &'a DynQueue,
    leases: Leases,
    /// Leased, and not yet given a sequence.
    fresh: VecDeque<Lease>,
    /// Some of those that are leased may be a predecessor's.
    takes_back: bool,
    /// Asked to end: until then acks are waited for.
    deadline: Option<Instant>,
    /// The queue was closed, and has no more messages.
    has_ended: bool,
    /// What ends the bridge when nothing is under way any more.
    failure: Option<Failure>,
    /// The stream was full when it was last tried.
    is_full: bool,
    /// Before sending again: grows while that changes nothing.
    pause: Duration,
    /// When progress was last shown.
    progress: Instant,
    /// When something was last heard of what is under way, or began to be awaited.
    heard: Instant,
}

/// What a bridge is made of.
pub(super) struct Parts<'a> {
    pub settings: &'a OutSettings,
    pub counters: &'a Counters,
    pub stop: Stop,
    pub server: &'a Server,
    pub wire: Wire<'a>,
    pub flight: Flight<'a, Lease>,
    pub number: u64,
    pub queue: &'a DynQueue,
    pub leases: Leases,
}

impl<'a> Bridge<'a> {
    pub(super) fn of(parts: Parts<'a>) -> Bridge<'a> {
        Bridge {
            settings: parts.settings,
            counters: parts.counters,
            stop: parts.stop,
            server: parts.server,
            connections: parts.server.connections.clone(),
            wire: parts.wire,
            flight: parts.flight,
            number: parts.number,
            queue: parts.queue,
            leases: parts.leases,
            fresh: VecDeque::new(),
            takes_back: true,
            deadline: None,
            has_ended: false,
            failure: None,
            is_full: false,
            pause: Duration::ZERO,
            progress: Instant::now(),
            heard: Instant::now(),
        }
    }
}

impl Bridge<'_> {
    /// Leases again what a predecessor had under way.
    pub(super) async fn take_back(&mut self) -> Result<(), Failure> {
        loop {
            let queue = self.queue.nonce();
            let is_pending = |&position: &u64| self.queue.is_done(super::flight::id_at(queue, position)) == Fate::Pending;
            let missing = self.flight.without_lease().filter(is_pending).count();
            if missing == 0 {
                self.takes_back = false;
                return Ok(());
            }
            if self.has_ended {
                let why = format!("it is closed, and {missing} messages that were under way are on lease to another consumer");
                return Err(Failure::Queue { queue: self.settings.queue.clone(), why });
            }
            tokio::select! {
                leased = self.leases.next() => self.take(leased)?,
                () = self.stop.wait() => {
                    // Nothing was sent: all is as the predecessor left it.
                    return Err(self.undrained());
                }
                () = sleep(GONE_AFTER) => {
                    tracing::warn!(missing, queue = self.settings.queue, "waiting for messages that another consumer has on lease");
                    self.queue.recover();
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some()
    }

    fn take(&mut self, leased: Option<Leased>) -> Result<(), Failure> {
        match leased {
            Some(Leased::Messages(messages)) => {
                if !self.takes_back {
                    self.fresh.extend(messages);
                    return Ok(());
                }
                for lease in messages {
                    if let Err(lease) = self.flight.take_back(position_of(lease.id()), lease) {
                        self.fresh.push_back(lease);
                    }
                }
            }
            Some(Leased::Closed) | None => {
                tracing::info!(queue = self.settings.queue, "the queue is closed and drained");
                self.has_ended = true;
            }
            Some(Leased::Failed(error)) => {
                return Err(Failure::Queue { queue: self.settings.queue.clone(), why: error.to_string() });
            }
        }
        Ok(())
    }

    pub(super) async fn carry(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        tracing::info!(queue = self.settings.queue, stream = self.settings.stream, subject = self.settings.subject(), "carrying");
        loop {
            self.assign();
            let mut trouble = self.send().await;
            if self.flight.is_empty() && (self.is_over() || self.has_ended && self.fresh.is_empty()) {
                return self.failure.take().map_or(Ok(()), Err);
            }
            if trouble.is_none() {
                let may_lease = !self.is_over() && !self.has_ended && self.fresh.is_empty() && self.has_room();
                let (is_asked, awaited) = (self.is_over(), self.flight.is_awaiting());
                let patience = self.heard + self.settings.ack_timeout.get();
                tokio::select! {
                    biased;
                    () = self.stop.wait(), if !is_asked => {
                        self.deadline = Some(Instant::now() + self.settings.drain.get());
                        self.fresh.drain(..).for_each(Lease::give_back_uncounted);
                    }
                    ack = self.wire.next_ack() => trouble = self.hear(ack),
                    changed = self.connections.changed() => {
                        if changed.is_ok() {
                            trouble = Some(Trouble::Unknown("the connection broke".into()));
                        }
                    }
                    leased = self.leases.next(), if may_lease => self.take(leased)?,
                    facts = watch.next() => self.find_mark(&facts?)?,
                    () = sleep_until(patience), if awaited => {
                        trouble = Some(Trouble::Unknown(format!("no ack for {}", self.settings.ack_timeout)));
                    }
                    () = sleep_until(self.deadline.unwrap_or(patience)), if is_asked => return Err(self.undrained()),
                }
            }
            self.end_landed()?;
            if let Some(trouble) = trouble {
                self.recover(trouble).await?;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.flight.len() < self.settings.window
    }

    fn assign(&mut self) {
        while self.has_room() && !self.is_over() {
            let Some(lease) = self.fresh.pop_front() else { return };
            // Before it has a sequence: all that is under way can land.
            if lease.len() > self.wire.max_message_bytes() {
                self.failure = Some(self.too_large(&lease));
                self.has_ended = true;
                lease.give_back_uncounted();
                self.fresh.drain(..).for_each(Lease::give_back_uncounted);
                return;
            }
            self.flight.assign(position_of(lease.id()), lease);
        }
    }

    /// Sends what is to be sent. Some trouble ends it.
    async fn send(&mut self) -> Option<Trouble> {
        if !self.flight.is_awaiting() {
            self.heard = Instant::now();
        }
        while let Some((sequence, _, lease)) = self.flight.next_to_send() {
            let result = self.wire.publish(sequence, lease.id(), lease).await;
            self.flight.sent(sequence);
            self.counters.out_published.fetch_add(1, Relaxed);
            if let Err(trouble) = result {
                return Some(trouble);
            }
            // One finds out whether there is room again.
            if self.is_full {
                break;
            }
        }
        self.counters.out_under_way.store(self.flight.len() as u64, Relaxed);
        None
    }

    /// Takes an ack, and those that are there already.
    fn hear(&mut self, first: Ack) -> Option<Trouble> {
        let mut next = Some(first);
        for _ in 0..ACKS {
            match next? {
                Ack::Landed(sequence) => self.flight.landed(sequence),
                Ack::Trouble(trouble) => return Some(trouble),
            }
            self.heard = Instant::now();
            next = self.wire.ack_at_once();
        }
        // One more was taken from the subscription.
        match next? {
            Ack::Landed(sequence) => {
                self.flight.landed(sequence);
                None
            }
            Ack::Trouble(trouble) => Some(trouble),
        }
    }

    fn end_landed(&mut self) -> Result<(), Failure> {
        let ended = self.flight.end_landed(Lease::ack);
        let ended = ended.map_err(|error| Failure::Queue { queue: self.settings.queue.clone(), why: error.to_string() })?;
        if ended > 0 {
            let landed = self.counters.out_landed.fetch_add(ended, Relaxed) + ended;
            if self.progress.elapsed() >= PROGRESS {
                self.progress = Instant::now();
                tracing::info!(queue = self.settings.queue, landed, under_way = self.flight.len(), "out: progress");
            }
            self.counters.out_under_way.store(self.flight.len() as u64, Relaxed);
            self.pause = Duration::ZERO;
            if std::mem::take(&mut self.is_full) {
                tracing::info!(stream = self.settings.stream, "the stream takes messages again");
            }
        }
        Ok(())
    }

    /// What was sent may have landed or not: finds out, and sends the rest again.
    async fn recover(&mut self, trouble: Trouble) -> Result<(), Failure> {
        let why = match trouble {
            // It was not, when it got its sequence: the server or the stream was changed.
            Trouble::TooLarge(sequence) => {
                return Err(self.flight.lease(sequence).map_or_else(|| self.undrained(), |lease| self.too_large(lease)));
            }
            Trouble::Refused(refused) if refused.is_too_large() => {
                let why = format!("its largest message was made smaller while it was used: the server says: {}", refused.why);
                return Err(Failure::Stream { stream: self.settings.stream.clone(), why });
            }
            Trouble::Refused(refused) if refused.is_full() => {
                if self.settings.on_full == OnFull::Stop {
                    return Err(Failure::Full { stream: self.settings.stream.clone(), why: refused.why });
                }
                if !self.is_full {
                    tracing::warn!(stream = self.settings.stream, "the stream is full: {}; waiting for room", refused.why);
                }
                self.is_full = true;
                refused.why
            }
            // A wrong sequence follows a message that was not taken.
            Trouble::Refused(refused) => refused.why,
            Trouble::NoStream => "no stream listens to the subject".into(),
            Trouble::Unknown(why) => why,
        };
        tracing::debug!("finding out what has landed: {why}");
        self.wait(self.pause).await?;
        let longer = (self.pause * 2).clamp(RETRY / 10, LONGEST_PAUSE);
        if longer == LONGEST_PAUSE && self.pause < longer && !self.is_full {
            let stream = &self.settings.stream;
            tracing::warn!(stream, under_way = self.flight.len(), "nothing lands any more: {why}; trying again each second");
        }
        self.pause = longer;
        self.stand().await
    }

    /// Asks what the stream has, and takes over from there.
    pub(super) async fn stand(&mut self) -> Result<(), Failure> {
        self.counters.out_rewinds.fetch_add(1, Relaxed);
        self.wire.forget_what_was_sent();
        self.connections.mark_unchanged();
        let (stream, mut missing_since) = (&self.settings.stream, None);
        'asked: loop {
            let why = match server::facts(self.server, stream).await {
                Ok(facts) => {
                    self.find_mark(&facts)?;
                    let to_read = self.flight.stand(facts.first, facts.last).map_err(|fault| self.fault(fault))?;
                    let server = self.server;
                    let mut read = stream::iter(to_read)
                        .map(|sequence| async move { (sequence, server::read_back(server, stream, sequence).await) })
                        .buffered(READ_BACK);
                    while let Some((sequence, found)) = read.next().await {
                        match found {
                            Ok(found) => {
                                let judged = self.flight.judge(sequence, found);
                                judged.map_err(|fault| self.fault(fault))?;
                            }
                            Err(error) => {
                                drop(read);
                                self.wait_for_answer(&error, &mut missing_since).await?;
                                continue 'asked;
                            }
                        }
                    }
                    drop(read);
                    self.heard = Instant::now();
                    return self.end_landed();
                }
                Err(error) => error,
            };
            self.wait_for_answer(&why, &mut missing_since).await?;
        }
    }

    async fn wait_for_answer(&mut self, error: &NotAnswered, missing_since: &mut Option<Instant>) -> Result<(), Failure> {
        match error {
            NotAnswered::Refused(refused) if refused.is_no_stream() => {
                let since = *missing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= GONE_AFTER {
                    return Err(Failure::NoStream { stream: self.settings.stream.clone() });
                }
            }
            NotAnswered::Refused(refused) => tracing::debug!("{}", refused.why),
            NotAnswered::Away(why) => {
                *missing_since = None;
                tracing::debug!("{why}");
            }
        }
        self.wait(RETRY).await
    }

    /// A stream that was made anew, or taken over, meanwhile; or was changed to one that would lose
    /// something.
    fn find_mark(&self, facts: &Facts) -> Result<(), Failure> {
        match Mark::of(facts) {
            Some(mark) if mark.journal == self.number => check(facts, self.settings, self.queue, self.wire.header_bytes()),
            mark => {
                let now = mark.map_or("none now".to_owned(), |mark| format!("now that of {mark}"));
                let why = format!(
                    "the stream has lost the mark of this bridge while it was carried ({now}): it was made anew, or taken over"
                );
                Err(self.identity(why))
            }
        }
    }

    /// Waits, but no longer than the bridge may.
    async fn wait(&mut self, pause: Duration) -> Result<(), Failure> {
        let until = Instant::now() + pause;
        if !self.is_over() {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                () = self.stop.wait() => self.deadline = Some(Instant::now() + self.settings.drain.get()),
            }
            self.fresh.drain(..).for_each(Lease::give_back_uncounted);
        }
        let deadline = self.deadline.unwrap_or(until);
        sleep_until(until.min(deadline)).await;
        if until < deadline { Ok(()) } else { Err(self.undrained()) }
    }

    fn undrained(&self) -> Failure {
        let (queue, left) = (self.settings.queue.clone(), self.flight.len());
        Failure::Undrained { queue, left, seconds: self.settings.drain.get().as_secs() }
    }

    fn identity(&self, why: String) -> Failure {
        Failure::Identity { queue: self.settings.queue.clone(), stream: self.settings.stream.clone(), why }
    }

    fn fault(&self, fault: Fault) -> Failure {
        let (stream, number) = (self.settings.stream.clone(), self.number);
        match fault {
            Fault::WentBack { last, reached } => self.identity(went_back(last, reached)),
            Fault::Gone { sequence, last } => self.identity(gone(&self.flight.id(sequence).to_string(), sequence, last)),
            Fault::Beyond { sequence } => Failure::Foreign {
                stream,
                sequence,
                found: "was taken by something else, or skipped by a purge".into(),
                expected: format!("none, by journal {number:016x}"),
            },
            Fault::Foreign { sequence, found } => {
                let found = match found {
                    Found::Id(id) => format!("has the id {id}"),
                    _ => "has no id of a queue".into(),
                };
                Failure::Foreign { stream, sequence, found, expected: self.flight.id(sequence).to_string() }
            }
        }
    }

    fn too_large(&self, lease: &Lease) -> Failure {
        let (id, len, max) = (lease.id().to_string(), lease.len(), self.wire.max_message_bytes());
        Failure::TooLarge { queue: self.settings.queue.clone(), id, len, max }
    }
}
