//! Aeron IPC by rusteron: an exclusive publication, claimed and read in place, both sides polling.
//!
//! Built with the feature `aeron` only: its C code needs CMake, Java and libclang. Its media driver
//! moves the limit up to which a publisher may write: it runs as a process of its own, of one
//! thread, while the channel is there. A message that exceeds the MTU would be taken apart and put
//! together again: larger ones than 1 KiB are not measured.

use super::{file, until};
use crate::{
    flows::{Transport, sum},
    forked::{Host, kernel},
};
use rusteron_client::{Aeron as Client, AeronExclusivePublication, AeronSubscription, Handlers};
use rusteron_media_driver::{AeronDriver, AeronDriverContext, bindings::aeron_threading_mode_t};
use std::{ffi::CString, fs, hint::spin_loop, ops::Range, path::PathBuf, time::Duration};

pub struct Aeron<const W: usize>;

const STREAM: i32 = 1001;
/// Of one poll, as in the examples.
const FRAGMENTS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(10);

fn directory(name: &str) -> PathBuf {
    file::path(&format!("{name}-aeron"))
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("a string without NUL")
}

/// What the driver does until it is killed.
fn drive(directory: &str) -> Result<i32, rusteron_media_driver::AeronCError> {
    let context = AeronDriverContext::new()?;
    context.set_dir(&c_string(directory))?;
    context.set_dir_delete_on_start(true)?;
    context.set_threading_mode(aeron_threading_mode_t::AERON_THREADING_MODE_SHARED)?;
    let driver = AeronDriver::new(&context)?;
    driver.start(true)?;
    loop {
        driver.main_idle_strategy(driver.main_do_work()?);
    }
}

/// The driver's process and its directory.
pub struct Driver(libc::pid_t, PathBuf);

impl Host for Driver {
    fn unlink(&self) {
        // The driver's files are in use as long as the channel.
    }

    fn state(&self) -> String {
        format!("driver {}: {}", self.0, kernel::activity(self.0))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        kernel::kill(self.0);
        kernel::ended(self.0, true);
        // Gone, or never made.
        let _ = fs::remove_dir_all(&self.1);
    }
}

// An end goes before the client that made it.
pub struct Out(AeronExclusivePublication, #[allow(dead_code)] Client);
pub struct In(AeronSubscription, #[allow(dead_code)] Client);

fn connect(name: &str) -> Client {
    let directory = directory(name);
    until("the driver's start", || Client::connect_dir(directory.to_str()?).ok())
}

/// A publisher may be half a term ahead of its subscriber. The driver moves that limit once a
/// millisecond or so, hence terms are longer than channels elsewhere: a publisher of as many
/// messages would only wait for it.
fn channel() -> CString {
    c_string("aeron:ipc?term-length=4m")
}

impl<const W: usize> Transport for Aeron<W> {
    const WORDS: usize = W;
    type Host = Driver;
    type Sender = Out;
    type Receiver = In;

    fn create(name: &str, _: usize) -> Driver {
        let directory = directory(name);
        let at = directory.to_str().expect("a path in letters").to_owned();
        Driver(kernel::fork(|| drive(&at).unwrap_or(1)), directory)
    }

    fn sender(name: &str) -> Out {
        let client = connect(name);
        let adding = client.async_add_exclusive_publication(&channel(), STREAM).expect("add a publication");
        let publication = adding.poll_blocking(PATIENCE).expect("a publication");
        until("the subscriber's coming", || publication.is_connected().then_some(()));
        Out(publication, client)
    }

    fn receiver(name: &str) -> In {
        let client = connect(name);
        let adding = client.async_add_subscription(&channel(), STREAM, Handlers::NONE, Handlers::NONE);
        let subscription = adding.expect("add a subscription").poll_blocking(PATIENCE).expect("a subscription");
        In(subscription, client)
    }

    fn send(Out(publication, _): &Out, stamps: Range<u64>) {
        for stamp in stamps {
            let mut claim = loop {
                match publication.try_claim_owned(W * 8) {
                    Ok(claim) => break claim,
                    Err(problem) if problem.is_retryable() => spin_loop(),
                    Err(problem) => panic!("claim: {problem}"),
                }
            };
            // SAFETY: any bytes are words.
            let (before, words, after) = unsafe { claim.data().align_to_mut::<u64>() };
            assert!(before.is_empty() && after.is_empty(), "a frame that is not aligned");
            words.fill(stamp);
            claim.commit().expect("commit");
        }
    }

    fn receive(In(subscription, _): &In, count: u64) -> u64 {
        let (mut total, mut left) = (0_u64, count);
        while left > 0 {
            let add = |message: &[u8], _| {
                // SAFETY: any bytes are words.
                let (before, words, after) = unsafe { message.align_to::<u64>() };
                assert!(before.is_empty() && after.is_empty() && words.len() == W, "a message of {} bytes", message.len());
                total = total.wrapping_add(sum(words));
            };
            match subscription.poll_fn(add, FRAGMENTS.min(left as usize)).expect("poll") {
                0 => spin_loop(),
                came => left -= came as u64,
            }
        }
        total
    }
}
