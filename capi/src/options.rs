//! Options structs: each begins with its size, so that later versions may add fields.
//!
//! Invariant 1: all zero is a value of each of them, and means the defaults.

use crate::border;
use crate::failure::{Failed, Numbers, shmq_error::SHMQ_ERROR_OPTIONS};
use crate::slots;
use crate::stop::shmq_stop;
use shmq_rs::sync::PrimitiveBuilder;
use shmq_rs::{QueueBuilder, Stop, WaitStrategy};
use std::ffi::c_char;

/// What messages are: the field `form` of the options and of layouts.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(u32)]
pub enum shmq_form {
    /// Each message is one value, all of one size.
    SHMQ_FORM_VALUE = 0,
    /// Each message is a number of elements, all of one size; of 1 byte if no size is given.
    SHMQ_FORM_SLICE = 1,
    /// Each message is one object in an encoding of yours, of any length.
    SHMQ_FORM_ENCODED = 2,
}

/// What a waiting call does before it sleeps: the field `wait_strategy`.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(u32)]
pub enum shmq_wait_strategy {
    /// Spins for as long as that has been worth it.
    SHMQ_WAIT_ADAPTIVE = 0,
    /// Never sleeps. For a core per waiting thread.
    SHMQ_WAIT_SPIN = 1,
    /// Sleeps at once.
    SHMQ_WAIT_BLOCK = 2,
    /// Spins and yields as often as the fields `spins` and `yields` say.
    SHMQ_WAIT_CUSTOM = 3,
}

/// Bits of the field `flags`.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(u32)]
pub enum shmq_flag {
    /// The segment stays when its last user leaves, until it is unlinked.
    SHMQ_PERSIST = 1,
    /// Created with it, the stream closes by itself once there has been a producer, or a publisher,
    /// and none is left; a queue also once there has been a consumer and none is left. A handle of a
    /// queue keeps both sides open: free it when the endpoints are made.
    SHMQ_CLOSE_WHEN_UNUSED = 2,
    /// Queues and topics: the memory is never swapped out (`mlock`).
    SHMQ_LOCK_MEMORY = 4,
    /// Queues and topics: asks for huge pages.
    SHMQ_HUGE_PAGES = 8,
    /// For kernels, and sandboxes, without `membarrier`.
    SHMQ_FULL_FENCE = 16,
    /// The segment may belong to the user `owner_uid`, who can change all that is in it.
    SHMQ_ALLOW_OWNER = 32,
    /// The segment may belong to anybody.
    SHMQ_ALLOW_ANY_OWNER = 64,
    /// Semaphores: never more permits than at first.
    SHMQ_BOUNDED = 128,
}

const PERSIST: u32 = shmq_flag::SHMQ_PERSIST as u32;
const CLOSE_WHEN_UNUSED: u32 = shmq_flag::SHMQ_CLOSE_WHEN_UNUSED as u32;
const LOCK_MEMORY: u32 = shmq_flag::SHMQ_LOCK_MEMORY as u32;
const HUGE_PAGES: u32 = shmq_flag::SHMQ_HUGE_PAGES as u32;
const FULL_FENCE: u32 = shmq_flag::SHMQ_FULL_FENCE as u32;
const ALLOW_OWNER: u32 = shmq_flag::SHMQ_ALLOW_OWNER as u32;
const ALLOW_ANY_OWNER: u32 = shmq_flag::SHMQ_ALLOW_ANY_OWNER as u32;
/// Semaphores: never more permits than at first.
pub(crate) const BOUNDED: u32 = shmq_flag::SHMQ_BOUNDED as u32;
/// The flags that mean something to a queue, and to a topic.
const OF_QUEUES: u32 = PERSIST | CLOSE_WHEN_UNUSED | LOCK_MEMORY | HUGE_PAGES | FULL_FENCE | ALLOW_OWNER | ALLOW_ANY_OWNER;
/// The flags that mean something to a primitive.
pub(crate) const OF_PRIMITIVES: u32 = PERSIST | FULL_FENCE | ALLOW_OWNER | ALLOW_ANY_OWNER;

/// How a queue, or a topic, is made and opened. All zero but `size`: the defaults.
///
/// The messages: `message_size` and `message_align`, or a `structure`, or both; with neither,
/// `open` takes what the segment has. Whatever is given is compared with what exists.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmq_queue_options {
    /// `sizeof(shmq_queue_options)`. A larger struct than the library knows is refused, unless the
    /// rest of it is zero.
    pub size: usize,
    /// A `shmq_form`.
    pub form: u32,
    /// Bits of `shmq_flag`.
    pub flags: u32,
    /// Room for so many messages. Queues of values need it, or `capacity_bytes`.
    pub capacity: usize,
    /// Room for so many bytes; 0: as `capacity` says; of slices and encoded objects 1 MiB.
    pub capacity_bytes: usize,
    /// Bytes of a value, or of an element of a slice; 0: what `structure` describes.
    pub message_size: usize,
    /// Messages begin at multiples of it; 0: that of the largest number in `structure`, or 1.
    pub message_align: usize,
    /// The fields, such as `"{price@0: f64, volume@8: u64}"`: compared by openers of all languages.
    pub structure: *const c_char,
    /// A name and a version of your own, such as `"tick/2"`, of 64 bytes at most; compared.
    pub schema: *const c_char,
    /// The name of the type, such as `"Tick"`; compared where both sides have one.
    pub type_name: *const c_char,
    /// Another directory than `/dev/shm`.
    pub directory: *const c_char,
    /// Ends the waits of this handle, and of endpoints made from it.
    pub stop: *mut shmq_stop,
    /// Unix permissions of the segment, such as 0660; 0: 0600.
    pub mode: u32,
    /// For `SHMQ_ALLOW_OWNER`.
    pub owner_uid: u32,
    /// Processes that may be attached at the same time; 0: 120.
    pub max_participants: u32,
    /// Queues: a message that came back so often is given up; 0: never.
    pub max_deliveries: u32,
    /// Queues: the name of the queue for messages that are given up, which has to exist (Rust's
    /// `DeadLetters`; its messages are encoded objects); null: they are dropped.
    pub dead_letters: *const c_char,
    /// Queues of encoded objects: bytes of those in files of their own; 0: half of the file system.
    pub max_spilled_bytes: u64,
    /// Topics: so many of the last messages are for later subscribers too.
    pub history: usize,
    /// Topics: a gating subscriber that lags further is evicted; 0: never.
    pub max_lag_before_evict: usize,
    /// Topics: 0 means 62.
    pub max_subscribers: u32,
    /// A `shmq_wait_strategy`.
    pub wait_strategy: u32,
    /// For `SHMQ_WAIT_CUSTOM`.
    pub spins: u32,
    /// For `SHMQ_WAIT_CUSTOM`.
    pub yields: u32,
}

/// How a primitive is made and opened. All zero but `size`: the defaults.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmq_primitive_options {
    /// `sizeof(shmq_primitive_options)`. As of `shmq_queue_options`.
    pub size: usize,
    /// Bits of `shmq_flag`.
    pub flags: u32,
    /// Unix permissions of the segment, such as 0660; 0: 0600.
    pub mode: u32,
    /// For `SHMQ_ALLOW_OWNER`.
    pub owner_uid: u32,
    /// Processes that may be attached at the same time; 0: 250.
    pub max_participants: u32,
    /// Another directory than `/dev/shm`.
    pub directory: *const c_char,
    /// Ends the waits of this handle.
    pub stop: *mut shmq_stop,
    /// Mutexes: bytes of the data that it guards; 0: what `structure` describes, or none.
    pub data_size: usize,
    /// Mutexes: as `message_align` of queues.
    pub data_align: usize,
    /// Mutexes: the fields of the data. As of `shmq_queue_options`.
    pub structure: *const c_char,
    /// Mutexes: the name of the type of the data.
    pub type_name: *const c_char,
}

/// How a topic is subscribed to. All zero but `size`: as a gating subscriber, from now on.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmq_subscribe_options {
    /// `sizeof(shmq_subscribe_options)`. As of `shmq_queue_options`.
    pub size: usize,
    /// 1: publishers never wait for it, and it knows what it missed.
    pub is_lossy: u32,
    /// A `shmq_start`.
    pub start: u32,
    /// For `SHMQ_START_BACK`: as many of the last messages.
    pub back: u64,
}

/// With which message a subscriber begins: the field `start`.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(u32)]
pub enum shmq_start {
    /// The next one that is published.
    SHMQ_START_NOW = 0,
    /// The oldest one that is still there.
    SHMQ_START_OLDEST = 1,
    /// As many of the last ones as `back` says, or as there are.
    SHMQ_START_BACK = 2,
}

/// Bytes of such a struct: more is no size.
pub(crate) const LARGEST: usize = 1 << 16;

/// A struct that begins with its size.
///
/// # Safety
/// It is `repr(C)`, its first field is `size: usize`, and all zero is a value of it.
pub unsafe trait BySize: Copy {}
// SAFETY: see their definitions: numbers and pointers.
unsafe impl BySize for shmq_queue_options {}
// SAFETY: as above.
unsafe impl BySize for shmq_primitive_options {}
// SAFETY: as above.
unsafe impl BySize for shmq_subscribe_options {}

fn refused(text: String) -> Failed {
    Failed::detailed(SHMQ_ERROR_OPTIONS, text, Numbers::none())
}

/// The options as this version knows them: a shorter struct is filled up with zeros.
///
/// # Safety
/// The pointer is null, or leads to as many bytes as its first word says.
pub unsafe fn read<O: BySize>(options: *const O) -> Result<O, Failed> {
    // SAFETY: all zero is a value (trait).
    let mut known: O = unsafe { std::mem::zeroed() };
    if options.is_null() {
        return Ok(known);
    }
    // SAFETY: the first word is the size (trait), which the caller says is there. C may have put the
    // struct anywhere.
    let size = unsafe { options.cast::<usize>().read_unaligned() };
    if size < size_of::<usize>() || size > LARGEST {
        return Err(refused(format!("the options say that they have {size} bytes: set `size` to the sizeof of the struct")));
    }
    let ours = size_of::<O>();
    // SAFETY: as many bytes as both have.
    unsafe { std::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut known).cast::<u8>(), size.min(ours)) };
    // SAFETY: the caller says that they are there.
    let rest = (ours..size).any(|at| unsafe { options.cast::<u8>().add(at).read() } != 0);
    if rest {
        return Err(refused(format!(
            "the options have {size} bytes, and this library, {}, knows {ours} of them: the rest has to be zero",
            env!("CARGO_PKG_VERSION")
        )));
    }
    Ok(known)
}

/// Are these flags that are known here?
pub fn check_flags(flags: u32, known: u32) -> Result<(), Failed> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(refused(format!("flags {unknown:#x} mean nothing here"))),
    }
}

/// The stop of the options.
///
/// # Safety
/// The handle is not freed meanwhile.
pub unsafe fn stop_of(stop: *mut shmq_stop) -> Result<Option<Stop>, Failed> {
    if stop.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says; a stop is `Sync`.
    Ok(Some(unsafe { slots::borrow::<Stop>(stop) }?.clone()))
}

impl shmq_queue_options {
    /// Sets what queues and topics have in common, but for the layout.
    ///
    /// # Safety
    /// The texts end.
    pub unsafe fn set<Q>(&self, mut builder: QueueBuilder<Q>) -> Result<QueueBuilder<Q>, Failed> {
        if self.capacity != 0 {
            builder = builder.capacity(self.capacity);
        }
        if self.capacity_bytes != 0 {
            builder = builder.capacity_bytes(self.capacity_bytes);
        }
        if self.mode != 0 {
            builder = builder.mode(self.mode);
        }
        if self.max_participants != 0 {
            builder = builder.max_participants(self.max_participants as usize);
        }
        // SAFETY: as the caller says.
        if let Some(directory) = unsafe { border::text_if_given(self.directory) }? {
            builder = builder.directory(directory);
        }
        if self.flags & PERSIST != 0 {
            builder = builder.persist(true);
        }
        if self.flags & CLOSE_WHEN_UNUSED != 0 {
            builder = builder.close_when_unused(true);
        }
        if self.flags & ALLOW_OWNER != 0 {
            builder = builder.allow_owner(self.owner_uid);
        }
        if self.flags & ALLOW_ANY_OWNER != 0 {
            builder = builder.allow_any_owner();
        }
        builder = builder.lock_memory(self.flags & LOCK_MEMORY != 0).huge_pages(self.flags & HUGE_PAGES != 0);
        Ok(builder.full_fence(self.flags & FULL_FENCE != 0).wait_strategy(self.strategy()?))
    }

    fn strategy(&self) -> Result<WaitStrategy, Failed> {
        use shmq_wait_strategy::*;
        match self.wait_strategy {
            asked if asked == SHMQ_WAIT_ADAPTIVE as u32 => Ok(WaitStrategy::Adaptive),
            asked if asked == SHMQ_WAIT_SPIN as u32 => Ok(WaitStrategy::Spin),
            asked if asked == SHMQ_WAIT_BLOCK as u32 => Ok(WaitStrategy::Block),
            asked if asked == SHMQ_WAIT_CUSTOM as u32 => Ok(WaitStrategy::Custom { spins: self.spins, yields: self.yields }),
            unknown => Err(refused(format!("wait_strategy {unknown} is none of shmq_wait_strategy"))),
        }
    }

    /// Is a field set that only topics have, or only queues?
    pub fn check_fields(&self, is_topic: bool) -> Result<(), Failed> {
        let queue_only = self.max_deliveries != 0 || !self.dead_letters.is_null() || self.max_spilled_bytes != 0;
        let topic_only = self.history != 0 || self.max_lag_before_evict != 0 || self.max_subscribers != 0;
        match (is_topic, queue_only, topic_only) {
            (true, true, _) => Err(refused("a topic has no max_deliveries, dead_letters and max_spilled_bytes".to_string())),
            (false, _, true) => Err(refused("a queue has no history, max_lag_before_evict and max_subscribers".to_string())),
            _ => check_flags(self.flags, OF_QUEUES),
        }
    }
}

impl shmq_primitive_options {
    /// Sets all but what the data of a mutex are.
    ///
    /// # Safety
    /// The texts end.
    pub unsafe fn set<P>(&self, mut builder: PrimitiveBuilder<P>) -> Result<PrimitiveBuilder<P>, Failed> {
        if self.mode != 0 {
            builder = builder.mode(self.mode);
        }
        if self.max_participants != 0 {
            builder = builder.max_participants(self.max_participants as usize);
        }
        // SAFETY: as the caller says.
        if let Some(directory) = unsafe { border::text_if_given(self.directory) }? {
            builder = builder.directory(directory);
        }
        if self.flags & PERSIST != 0 {
            builder = builder.persist(true);
        }
        if self.flags & ALLOW_OWNER != 0 {
            builder = builder.allow_owner(self.owner_uid);
        }
        if self.flags & ALLOW_ANY_OWNER != 0 {
            builder = builder.allow_any_owner();
        }
        Ok(builder.full_fence(self.flags & FULL_FENCE != 0))
    }

    /// Are data described? Only a mutex has some.
    pub fn check_no_data(&self) -> Result<(), Failed> {
        let none = self.data_size == 0 && self.data_align == 0 && self.structure.is_null() && self.type_name.is_null();
        if none { Ok(()) } else { Err(refused("only a mutex guards data".to_string())) }
    }
}
