//! Becoming a participant: at create, at open, and at the first call after a fork.

use super::{Channel, Failure, Mapped};
use crate::error::{CreateError, OpenError};
use crate::lock::Locks;
use crate::os::{Barrier, Incarnation, on_fork};
use crate::participant::{self, Id};
use crate::ring::Ring;
use crate::segment::{AttachError, Expect, Segment, Spec};
use crate::wait_strategy::WaitStrategy;
use std::cell::UnsafeCell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Channels of this process, so that a handle that arrives twice uses one mapping. Also held while one attaches anew: a child's
/// threads may all notice the fork at once. Held across every fork, so that no child inherits it locked.
static OPEN: Mutex<Vec<Weak<Channel>>> = Mutex::new(Vec::new());

type OpenGuard = MutexGuard<'static, Vec<Weak<Channel>>>;

struct HeldAcrossFork(UnsafeCell<Option<OpenGuard>>);
// SAFETY: only the fork handlers use it, between taking the mutex and letting go of it, in the one thread that forks.
unsafe impl Sync for HeldAcrossFork {}
static HELD: HeldAcrossFork = HeldAcrossFork(UnsafeCell::new(None));

fn lock_open() -> OpenGuard {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn before_fork() {
    let guard = lock_open();
    // SAFETY: the mutex is held, so that no other thread is between here and `after_fork`.
    unsafe { *HELD.0.get() = Some(guard) };
}

unsafe extern "C" fn after_fork() {
    // SAFETY: this thread, or the one that it is a copy of, took the mutex in `before_fork`.
    let guard = unsafe { (*HELD.0.get()).take() };
    drop(guard);
}

/// Installed after those of the segment's descriptors, so that this mutex is taken before theirs, as everywhere else.
fn install_fork_handlers() -> io::Result<()> {
    static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
    match INSTALLED
        .get_or_init(|| on_fork(before_fork, after_fork, after_fork).err().map(|error| error.raw_os_error().unwrap_or(0)))
    {
        None => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(*error)),
    }
}

/// The system refused what every attached channel needs.
#[derive(Debug)]
struct AttachFailure {
    call: &'static str,
    source: io::Error,
}

impl From<AttachFailure> for CreateError {
    fn from(failure: AttachFailure) -> Self {
        CreateError::Os { call: failure.call, source: failure.source }
    }
}

impl From<AttachFailure> for OpenError {
    fn from(failure: AttachFailure) -> Self {
        OpenError::Os { call: failure.call, source: failure.source }
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Full { max } => Failure::TooManyParticipants { max },
            AttachError::Replaced => Failure::Os {
                call: "attach after fork",
                source: io::Error::new(io::ErrorKind::NotFound, "every user left and the queue was replaced meanwhile"),
            },
            AttachError::Os { call, source } => Failure::Os { call, source },
        }
    }
}

fn ring_of(segment: &Segment) -> Ring<Mapped> {
    let geometry = segment.geometry();
    let memory = Mapped::new(NonNull::from(segment.head()), segment.cells(), &geometry);
    Ring { memory, geometry }
}

fn initialise(segment: &Segment) {
    ring_of(segment).initialise();
    Locks::initialise(segment);
}

impl Channel {
    /// Creates a segment; without a name, an anonymous one.
    pub(crate) fn create(name: Option<&str>, spec: &Spec, strategy: WaitStrategy) -> Result<Arc<Channel>, CreateError> {
        let (segment, entry) = match name {
            Some(name) => Segment::create(name, spec, initialise)?,
            None => Segment::create_anonymous(spec, initialise)?,
        };
        Ok(Channel::over(segment, entry, strategy)?)
    }

    /// Attaches to a segment.
    pub(crate) fn open(name: &str, expect: &Expect, strategy: WaitStrategy) -> Result<Arc<Channel>, OpenError> {
        let (segment, entry) = Segment::open(name, expect)?;
        Ok(Channel::over(segment, entry, strategy)?)
    }

    /// Attaches to a segment, or creates it.
    pub(crate) fn open_or_create(
        name: &str,
        spec: &Spec,
        expect: &Expect,
        strategy: WaitStrategy,
    ) -> Result<Arc<Channel>, CreateError> {
        let (segment, entry, _) = Segment::open_or_create(name, spec, expect, initialise)?;
        Ok(Channel::over(segment, entry, strategy)?)
    }

    /// Attaches to the segment that a handle was sent of, through the mapping that this process may have already.
    pub(crate) fn reopen(name: &str, expect: &Expect) -> Result<Arc<Channel>, OpenError> {
        if let Some(nonce) = expect.nonce {
            // Collected first: the last owner of a channel must not drop it under the mutex.
            let open: Vec<Arc<Channel>> = lock_open().iter().filter_map(Weak::upgrade).collect();
            if let Some(channel) = open.into_iter().find(|channel| channel.segment.nonce() == nonce) {
                channel.segment.check(expect)?;
                return Ok(channel);
            }
        }
        Channel::open(name, expect, WaitStrategy::default())
    }

    fn over(segment: Segment, entry: u32, strategy: WaitStrategy) -> Result<Arc<Channel>, AttachFailure> {
        let prepared = Incarnation::word()
            .and_then(|word| install_fork_handlers().map(|()| word))
            .map_err(|source| AttachFailure { call: "noticing forks (mmap, pthread_atfork)", source })
            .and_then(|word| Ok((word, Locks::attach(&segment).map_err(|source| AttachFailure { call: "raw_sync", source })?)));
        let (fork_word, locks) = match prepared {
            Ok(both) => both,
            Err(failure) => {
                segment.leave(entry);
                return Err(failure);
            }
        };
        let left_behind = segment.entries()[entry as usize].pid.load(Relaxed) != 0;
        let me = participant::register(&segment, entry);
        let channel = Arc::new(Channel {
            ring: ring_of(&segment),
            fork_word,
            incarnation: AtomicU32::new(fork_word.current()),
            me: AtomicU32::new(me.bits()),
            barrier: Barrier::register(),
            strategy,
            max_deliveries: segment.max_deliveries(),
            looked_ns: AtomicU64::new(0),
            #[cfg(feature = "tracing")]
            untold: Default::default(),
            locks,
            segment,
        });
        if left_behind {
            // Whoever registers in an entry first repairs what its dead predecessor left.
            channel.recover();
        }
        let mut open = lock_open();
        open.retain(|channel| channel.strong_count() > 0);
        open.push(Arc::downgrade(&channel));
        Ok(channel)
    }

    /// This process's id, attaching anew after a fork (Invariant 3).
    #[inline(always)]
    pub(super) fn me(&self) -> Result<Id, Failure> {
        // Acquire pairs with the store in `attach_again`: the incarnation comes with its id. Free on x86.
        if self.fork_word.peek() == self.incarnation.load(Acquire) {
            if let Some(me) = Id::from_bits(self.me.load(Relaxed)) {
                return Ok(me);
            }
        }
        self.attach_again()
    }

    /// The incarnation of this process, for guards and endpoints to remember.
    #[inline(always)]
    pub(crate) fn incarnation(&self) -> u32 {
        self.fork_word.peek()
    }

    #[cold]
    fn attach_again(&self) -> Result<Id, Failure> {
        let attaching = lock_open();
        let now = self.fork_word.current();
        if self.incarnation.load(Acquire) == now {
            return Id::from_bits(self.me.load(Relaxed)).ok_or(Failure::Corrupted);
        }
        let entry = self.segment.reattach()?;
        let left_behind = self.segment.entries()[entry as usize].pid.load(Relaxed) != 0;
        let me = participant::register(&self.segment, entry);
        self.barrier.register_again();
        self.me.store(me.bits(), Relaxed);
        self.incarnation.store(now, Release);
        drop(attaching);
        if left_behind {
            self.recover();
        }
        Ok(me)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // A child that never attached holds no pulse: it only unmaps and closes.
        if self.fork_word.peek() != *self.incarnation.get_mut() {
            return;
        }
        if let Some(me) = Id::from_bits(*self.me.get_mut()) {
            // Left in good order: whoever takes this entry next has nothing to repair.
            self.segment.entries()[me.entry() as usize].pid.store(0, Relaxed);
            self.segment.leave(me.entry());
        }
    }
}
