//! `shmq_topic`: making, opening and giving up topics, and subscribing to them.

mod control;
mod publish;
mod publisher;
mod subscriber;
mod subscriber_copy;

pub use subscriber::{SubscriberHandle, shmq_subscriber};

use crate::border::{self, Out, guarded};
use crate::failure::{Failed, shmq_error};
use crate::layout::Texts;
use crate::options::{self, shmq_queue_options};
use crate::slots;
use crate::until::Until;
use shmq_rs::{DynTopic, QueueBuilder};
use std::ffi::c_char;

/// A topic that this process has open. Any thread may use it.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_topic {
    _private: [u8; 0],
}

slots::handled!(shmq_topic, TopicHandle, 8, c"the handle is no topic: it is null, was freed, or is of another kind");

/// What a handle of a topic leads to.
pub struct TopicHandle {
    pub topic: DynTopic,
    pub texts: Box<Texts>,
}

impl TopicHandle {
    fn give(topic: DynTopic, options: &shmq_queue_options, to: Out<*mut shmq_topic>) -> Result<(), Failed> {
        let texts = Texts::of(topic.name(), topic.layout());
        // SAFETY: the stop is not freed meanwhile (slots, Invariant 4).
        let topic = match unsafe { options::stop_of(options.stop) }? {
            Some(stop) => topic.with_stop(&stop),
            None => topic,
        };
        to.set(slots::insert(TopicHandle { topic, texts })?);
        Ok(())
    }
}

/// A builder of what the options say.
///
/// # Safety
/// The texts of the options end.
unsafe fn builder(options: &shmq_queue_options) -> Result<QueueBuilder<DynTopic>, Failed> {
    options.check_fields(true)?;
    // SAFETY: as the caller says.
    let (layout, schema) = unsafe { (options.layout()?, border::text_if_given(options.schema)?) };
    // SAFETY: as the caller says.
    let mut builder = unsafe { options.set(DynTopic::builder(layout)) }?;
    if let Some(schema) = schema {
        builder = builder.schema(schema);
    }
    if options.history != 0 {
        builder = builder.history(options.history);
    }
    if options.max_lag_before_evict != 0 {
        builder = builder.max_lag_before_evict(options.max_lag_before_evict);
    }
    if options.max_subscribers != 0 {
        builder = builder.max_subscribers(options.max_subscribers as usize);
    }
    Ok(builder)
}

/// Creates a topic, as `shmq_queue_create` a queue. Topics of slices and encoded objects are bounded
/// by `capacity_bytes`, those of values by `capacity`.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_create(
    name: *const c_char,
    options: *const shmq_queue_options,
    topic: *mut *mut shmq_topic,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (name, options, topic) = unsafe { (border::text_if_given(name)?, options::read(options)?, Out::new(topic)?) };
        // SAFETY: as above.
        let mut builder = unsafe { builder(&options) }?;
        if let Some(name) = name {
            builder = builder.name(name);
        }
        TopicHandle::give(builder.create()?, &options, topic)
    })
}

/// Opens a topic that another process created, as `shmq_queue_open` a queue.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_open(
    name: *const c_char,
    options: *const shmq_queue_options,
    until: u64,
    topic: *mut *mut shmq_topic,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (name, options, topic) = unsafe { (border::text(name)?, options::read(options)?, Out::new(topic)?) };
        // SAFETY: as above.
        let builder = unsafe { builder(&options) }?.name(name);
        let opened = match Until::of(until) {
            Until::Try => builder.open()?,
            Until::Forever => builder.open_timeout(std::time::Duration::MAX)?,
            Until::Left(left) => builder.open_timeout(left)?,
        };
        TopicHandle::give(opened, &options, topic)
    })
}

/// Opens the topic of that name, or creates it, as `shmq_queue_open_or_create` a queue.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_open_or_create(
    name: *const c_char,
    options: *const shmq_queue_options,
    topic: *mut *mut shmq_topic,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (name, options, topic) = unsafe { (border::text(name)?, options::read(options)?, Out::new(topic)?) };
        // SAFETY: as above.
        let builder = unsafe { builder(&options) }?.name(name);
        TopicHandle::give(builder.open_or_create()?, &options, topic)
    })
}

/// Removes a name. Processes that have the topic open go on with it. `options` may be null; its
/// `directory` and its owner count.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_unlink(name: *const c_char, options: *const shmq_queue_options) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, and structs have their sizes.
        unsafe {
            let (name, options) = (border::text(name)?, options::read(options)?);
            builder(&options)?.name(name).unlink()?;
        }
        Ok(())
    })
}

/// Gives a handle up. Publishers, subscribers and loans that were made of it keep the topic, and may
/// be used on.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_free(topic: *mut shmq_topic) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<TopicHandle>(topic) }?);
        Ok(())
    })
}
