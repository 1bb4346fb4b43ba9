//! What is due now and then: time that passes, workers that are done, signs of life, questions to
//! the server, progress.

use super::{ASK_ANYWAY, ASK_SOON, Carrier, Held, NAME, SEND};
use crate::failure::Failure;
use crate::inward::waits::Ended;
use crate::inward::watch;
use crate::settings::AckOn;
use async_nats::connection::State;
use bytes::Bytes;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::timeout;

impl Carrier<'_> {
    pub(super) async fn tick(&mut self) -> Result<(), Failure> {
        let passed = self.last.tick.elapsed();
        self.last.tick = Instant::now();
        if self.last.name.elapsed() >= NAME {
            self.last.name = self.last.tick;
            self.named.check()?;
        }
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
            let is_of_use = self.unknown_runs > 0 || self.acks.has_old() || !self.is_verified;
            if self.last.ask.elapsed() >= if is_of_use { ASK_SOON } else { ASK_ANYWAY } {
                self.watch(!self.is_verified || self.last.asked_for_stream.elapsed() >= ASK_ANYWAY);
            }
        }
        self.show_progress();
        Ok(())
    }

    pub(super) fn is_connected(&self) -> bool {
        self.server.client.connection_state() == State::Connected
    }

    pub(super) fn see_to_workers(&mut self) {
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

    /// Signs of life for all that is not acked (`mod.rs`, Invariant 4). The last one asks for an
    /// answer: the server reads them in their order, so that confirms all of them.
    pub(super) async fn renew(&mut self) {
        let (client, began) = (self.server.client.clone(), Instant::now());
        let mut replies = self.waits.replies().chain(self.held.iter().map(|held| &held.reply)).peekable();
        let round = self.renewed.round + 1;
        while let Some(reply) = replies.next() {
            let sign = Bytes::from_static(b"+WPI");
            let sent = match replies.peek() {
                Some(_) => client.publish(reply.clone(), sign).await,
                None => client.publish_with_reply(reply.clone(), self.acks.answer_to_round(round), sign).await,
            };
            if sent.is_err() {
                return;
            }
        }
        (self.renewed.round, self.renewed.began) = (round, Some(began));
    }

    /// May the server have given it to another bridge? It came, and its last renewal that was
    /// confirmed was sent, too long ago (`mod.rs`, Invariant 6).
    pub(super) fn is_stale(&self, held: &Held) -> bool {
        let since = self.renewed.confirmed.map_or(held.came, |confirmed| confirmed.max(held.came));
        since.elapsed() > self.ack_wait / 4 * 3
    }

    /// After a while in which this process did not run, as one that is stopped: what has come
    /// meanwhile, and waits in some buffer, was sent nobody knows when. It is left to the server.
    pub(super) async fn mind_a_gap(&mut self) -> Result<bool, Failure> {
        let gap = std::mem::replace(&mut self.last.alive, Instant::now()).elapsed();
        if gap <= self.ack_wait / 2 {
            return Ok(false);
        }
        tracing::warn!(held = self.held.len(), "in: did not run for {} ms; what is held is left to the server", gap.as_millis());
        self.held.clear();
        self.pulls.begin_anew().await.map(|()| true)
    }

    /// Asks the server, in a task of its own.
    pub(super) fn watch(&mut self, for_stream_too: bool) {
        self.last.ask = Instant::now();
        if for_stream_too {
            self.last.asked_for_stream = self.last.ask;
        }
        let (jetstream, stream, notes) = (self.server.jetstream.clone(), self.stream.clone(), self.notes.0.clone());
        let about_stream = for_stream_too.then(|| (self.seen.highest(), self.connection));
        tokio::spawn(watch::ask(jetstream, stream, self.settings.consumer(), about_stream, notes));
    }

    pub(super) fn show_progress(&mut self) {
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
}
