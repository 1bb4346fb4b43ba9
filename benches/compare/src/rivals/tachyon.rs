//! tachyon-ipc: a ring of records for one producer and one consumer, handed over through a socket.
//!
//! Built with the feature `tachyon` only: its core is C++23. The consumer listens, as in its
//! documentation, and makes the ring; the producer connects, and the socket's file is gone.

use super::{meeting_point, until};
use crate::{
    flows::{BATCH, Transport, capacity, sum},
    forked::Host,
};
use std::{fs, hint::spin_loop, ops::Range, path::PathBuf};
use tachyon_ipc::{Bus, TachyonError, TxGuard};

/// Up to `N` messages a call.
pub struct Tachyon<const W: usize, const N: usize, const SLEEPS: bool>;

/// Polls of a consumer before it sleeps, as in the documentation of tachyon.
const POLLS: u32 = 10_000;
/// A record begins with a header of that many bytes, and is padded to as many.
const HEADER: usize = 64;
/// Of all messages.
const TYPE: u32 = 1;

/// The socket's file.
pub struct Socket(PathBuf);

impl Host for Socket {
    fn unlink(&self) {
        // The listener removes it when the other side has come.
        let _ = fs::remove_file(&self.0);
    }

    fn state(&self) -> String {
        format!("socket {}", self.0.display())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.unlink();
    }
}

/// Is a channel for messages of `W` words long enough?
pub const fn has_room<const W: usize>() -> bool {
    capacity(W) >= 2 * BATCH
}

impl<const W: usize, const N: usize, const SLEEPS: bool> Tachyon<W, N, SLEEPS> {
    /// The size of a ring is a power of two. A consumer gives its space back every 32 messages and
    /// cannot be told to do it sooner: in a ring of fewer both sides would wait forever.
    const BYTES: usize = (capacity(W) * (HEADER + (W * 8).next_multiple_of(HEADER))).next_power_of_two();
}

/// Room for one message; waits for it.
fn room(bus: &Bus, bytes: usize) -> TxGuard<'_> {
    loop {
        match bus.acquire_tx(bytes) {
            Ok(room) => return room,
            Err(TachyonError::BufferFull) => {
                // What was written so far must be seen, or nothing is taken out.
                bus.flush();
                spin_loop();
            }
            Err(problem) => panic!("acquire_tx: {problem}"),
        }
    }
}

impl<const W: usize, const N: usize, const SLEEPS: bool> Transport for Tachyon<W, N, SLEEPS> {
    const WORDS: usize = W;
    type Host = Socket;
    type Sender = Bus;
    type Receiver = Bus;

    fn create(name: &str, _: usize) -> Socket {
        Socket(meeting_point(name))
    }

    fn sender(name: &str) -> Bus {
        let path = meeting_point(name);
        until("the listener's coming", || Bus::connect(path.to_str()?).ok())
    }

    fn receiver(name: &str) -> Bus {
        let bus = Bus::listen(meeting_point(name).to_str().expect("a path in letters"), Self::BYTES).expect("listen");
        if !SLEEPS {
            bus.set_polling_mode(1);
        }
        bus
    }

    fn send(bus: &Bus, mut stamps: Range<u64>) {
        while !stamps.is_empty() {
            for stamp in stamps.by_ref().take(N) {
                let mut room = room(bus, W * 8);
                // SAFETY: the slot is as long as asked for. It begins at a multiple of 64 bytes.
                let bytes = unsafe { room.as_mut_slice() };
                // SAFETY: any bytes are words.
                let (before, words, after) = unsafe { bytes.align_to_mut::<u64>() };
                assert!(before.is_empty() && after.is_empty(), "a slot that is not aligned");
                words.fill(stamp);
                if N == 1 { room.commit(W * 8, TYPE) } else { room.commit_unflushed(W * 8, TYPE) }.expect("commit");
            }
            if N > 1 {
                bus.flush();
            }
        }
    }

    fn receive(bus: &Bus, count: u64) -> u64 {
        let polls = if SLEEPS { POLLS } else { u32::MAX };
        let words = |bytes: &[u8]| {
            // SAFETY: any bytes are words.
            let (before, words, after) = unsafe { bytes.align_to::<u64>() };
            assert!(before.is_empty() && after.is_empty() && words.len() == W, "a message of {} bytes", bytes.len());
            sum(words)
        };
        let (mut total, mut left) = (0_u64, count);
        while left > 0 {
            if N == 1 {
                let message = bus.acquire_rx(polls).expect("acquire_rx");
                total = total.wrapping_add(words(message.data()));
                message.commit().expect("commit");
                left -= 1;
            } else {
                let batch = bus.drain_batch(N.min(left as usize), polls).expect("drain_batch");
                total = batch.iter().fold(total, |total, message| total.wrapping_add(words(message.data())));
                left -= batch.len() as u64;
                batch.commit().expect("commit");
            }
        }
        total
    }
}
