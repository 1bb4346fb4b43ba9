//! The workers: each leases a block, counts its words in place, puts the answer, and only then
//! releases the block.
//!
//! If a worker is killed in between, its lease ends, and another worker gets the block. So each
//! block is answered at least once, and the parent, which knows the blocks by their numbers, takes
//! the first answer only.

use std::io::{self, Write};
use std::os::unix::process::parent_id;
use std::time::Duration;

use shmq::{CreateError, GetError, Process, PutError, Queue};

use crate::answer::answer_block;
use crate::words::Words;
use crate::{Failure, signals};

/// A block's number goes before its text.
pub const NUMBER_BYTES: usize = 8;
/// How often a waiting worker checks whether its parent is still alive.
const ORPHAN_CHECK: Duration = Duration::from_secs(1);
/// How long a worker may take to end when there is no more to do.
const FAREWELL: Duration = Duration::from_secs(60);

pub struct Crew {
    pub blocks: Queue<[u8]>,
    pub answers: Queue<[u8]>,
    workers: Vec<Process>,
    spare_lives: usize,
}

impl Crew {
    /// Queues for `in_flight` blocks, and `size` workers on them.
    pub fn start(size: usize, in_flight: usize, block_bytes: usize) -> Result<Crew, Failure> {
        let queue = |what, messages: usize, message_bytes: usize| -> Result<Queue<[u8]>, CreateError> {
            // Half of a ring is what its largest message may take; a message that does not fit
            // before the ring's end starts over.
            let capacity_bytes = (messages + 1) * (message_bytes + 64);
            let name = format!("wordcount-{}-{what}", std::process::id());
            Queue::builder().name(name).capacity_bytes(capacity_bytes).max_participants(2 * size + 16).create()
        };
        let blocks = queue("blocks", in_flight.max(2), block_bytes)?;
        // Every word of a block once, with two numbers, is at most half as long again as the block.
        let answers = queue("answers", 2, block_bytes * 3 / 2 + 64)?;
        let mut crew = Crew { blocks, answers, workers: Vec::new(), spare_lives: size + 8 };
        for _ in 0..size {
            crew.hire()?;
        }
        Ok(crew)
    }

    fn hire(&mut self) -> Result<(), Failure> {
        let (blocks, answers, parent) = (self.blocks.clone(), self.answers.clone(), std::process::id());
        self.workers.push(Process::spawn(move || work(&blocks, &answers, parent))?);
        Ok(())
    }

    /// Replaces workers that died.
    pub fn tend(&mut self) -> Result<(), Failure> {
        for i in (0..self.workers.len()).rev() {
            let Some(status) = self.workers[i].exit_status()? else { continue };
            let gone = self.workers.swap_remove(i);
            if self.spare_lives == 0 {
                return Err(Failure::new(1, format!("worker {} died ({status}), as did too many others", gone.pid())));
            }
            self.spare_lives -= 1;
            let _ = writeln!(io::stderr(), "wordcount: worker {} died ({status}); another takes over its block", gone.pid());
            self.hire()?;
        }
        Ok(())
    }

    /// Sends the workers home when all is counted.
    pub fn dismiss(mut self) -> Result<(), Failure> {
        self.blocks.close();
        for worker in &mut self.workers {
            // All answers are in, so how a worker ends changes nothing, but is worth a message.
            match worker.join_timeout(FAREWELL)? {
                Some(status) if status.success() => {}
                Some(status) => eprintln!("wordcount: worker {} ended with {status}", worker.pid()),
                None => eprintln!("wordcount: worker {} did not end by itself", worker.pid()),
            }
        }
        Ok(())
    }
}

impl Drop for Crew {
    /// Leaves no worker behind, whatever went wrong. The queues are dropped after this, and their
    /// names go with them.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill();
        }
        for worker in &mut self.workers {
            let _ = worker.join();
        }
    }
}

/// A worker's life.
fn work(blocks: &Queue<[u8]>, answers: &Queue<[u8]>, parent: u32) -> Result<(), Box<dyn std::error::Error>> {
    // Ctrl-C reaches the whole group, and the parent decides what it means; SIGTERM ends a worker
    // as it ends any process.
    signals::ignore(libc::SIGINT);
    signals::obey(libc::SIGTERM);
    let mut table = Words::default();
    let mut answer = Vec::new();
    loop {
        let message = match blocks.lease_timeout(ORPHAN_CHECK) {
            Ok(message) => message,
            Err(GetError::Timeout) if parent_id() == parent => continue,
            Err(GetError::Timeout | GetError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let (number, block) = message.split_first_chunk::<NUMBER_BYTES>().ok_or("a block without a number")?;
        answer_block(u64::from_le_bytes(*number), block, &mut table, &mut answer);
        loop {
            match answers.put_timeout(&answer, ORPHAN_CHECK) {
                Ok(()) => break,
                Err(PutError::Timeout) if parent_id() == parent => {}
                Err(PutError::Timeout) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        message.release();
    }
}
