//! One message: put, acked again, or refused.

use super::{Carrier, Held, TICK};
use crate::failure::Failure;
use crate::inward::letters;
use crate::inward::putter::Attempt;
use crate::inward::waits::Waits;
use crate::inward::watch::Note;
use crate::settings::AckOn;
use crate::stop::Stop;
use async_nats::Subject;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long a put waits for room between two ticks.
const ROOM: Duration = Duration::from_millis(20);

impl Carrier<'_> {
    /// Puts a message, or acks it again. `false`: the bridge was asked to end first.
    pub(super) async fn take(&mut self, held: Held, stop: &Stop) -> Result<bool, Failure> {
        let sequence = held.sequence;
        if self.seen.knows(sequence) {
            self.counters.in_known.fetch_add(1, Relaxed);
            self.seen.came_again(sequence);
            if !self.waits.came_again(sequence, &held.reply) {
                self.acks.push(sequence, held.reply);
            }
            return Ok(true);
        }
        if let Err(why) = self.tag.check_message(held.message.headers.as_ref()) {
            return self.refuse(held, why).map(|()| true);
        }
        let waits_for_workers = self.settings.ack_on == AckOn::Done;
        // What is certain: by copy into the ring, by the side's owner (`Seen`, Invariant 3).
        let is_certain = self.putter.is_owner() && held.message.payload.len() <= self.ring_bytes;
        let mut is_begun = false;
        let mut wait = Duration::ZERO;
        loop {
            // The server has given it to another bridge by now, or will give it to this one again.
            if self.is_stale(&held) {
                if is_begun {
                    self.take_back();
                }
                tracing::debug!(sequence, "in: held for longer than the ack wait, and left to the server");
                return Ok(true);
            }
            let began = Instant::now();
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
            // Not every lack of room is one that the queue's put waits for.
            if !is_begun || began.elapsed() < ROOM / 2 {
                tokio::time::sleep(ROOM / 2).await;
            }
            wait = ROOM;
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
        // Where others put, the count is never asked.
        match is_certain || !self.putter.is_owner() {
            true => self.seen.settle(),
            false => self.seen.settle_uncertain(self.queue.stats().puts),
        }
        self.counters.in_put.fetch_add(1, Relaxed);
        match waits_for_workers {
            true => self.waits.put(sequence, self.nonce, held.reply),
            false => self.acks.push(sequence, held.reply),
        }
        Ok(true)
    }

    pub(super) fn take_back(&mut self) {
        self.seen.take_back(self.queue.stats().puts);
        self.waits.take_back();
    }

    /// While a put waits for room: acks, answers, renewals, notes.
    pub(super) async fn see_to_what_is_due(&mut self) -> Result<(), Failure> {
        self.mind_a_gap().await?;
        // What has come is held, and so renewed.
        self.receive()?;
        while let Ok(note) = self.notes.1.try_recv() {
            self.note(note).await?;
        }
        // The client's tasks run on another thread; this one waits in the queue most of the time.
        if self.last.tick.elapsed() >= TICK {
            self.tick().await?;
        }
        self.flush().await;
        // A put that waits blocks the thread, and the rest may not have waited for anything.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// A message that the queue does not take goes to the dead letters, if the settings name them.
    pub(super) fn refuse(&mut self, held: Held, why: String) -> Result<(), Failure> {
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

    pub(super) fn bury(&self, sequence: u64, reply: Subject, why: String) {
        let (jetstream, stream, notes) = (self.server.jetstream.clone(), self.stream.clone(), self.notes.0.clone());
        let subject = self.settings.dead_letters();
        tokio::spawn(async move {
            let sent = letters::send(&jetstream, &stream, &subject, sequence, &why).await;
            let _ = notes.send(Note::Letter(sequence, reply, sent)).await;
        });
    }
}

/// The same message once more, for its renewal while it waits.
fn held_again(held: &Held) -> Held {
    Held { message: held.message.clone(), reply: held.reply.clone(), ..*held }
}
