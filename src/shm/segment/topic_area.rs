//! A topic's words and lines in a mapping.

use crate::shm::layout::{SubscriberLine, TopicWords};
use std::ptr::NonNull;

/// What a topic has beside a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicShape {
    /// Lines for subscribers, 1 to `MAX_SUBSCRIBERS`.
    pub max_subscribers: u32,
    /// Messages that a new subscriber begins back.
    pub history: u64,
    /// A gating subscriber that lags so many messages is evicted; 0: none is.
    pub max_lag: u64,
}

/// Where its words and lines are.
///
/// Invariant 1: they lie inside a mapping, which the holder of a `TopicArea` keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicArea {
    words: NonNull<TopicWords>,
    shape: TopicShape,
}

impl TopicArea {
    /// # Safety
    /// `at` is the offset of the words in a mapping of a topic of that shape, which lives as long as
    /// the value is used.
    pub unsafe fn new(at: NonNull<u8>, shape: TopicShape) -> TopicArea {
        TopicArea { words: at.cast(), shape }
    }

    pub fn shape(&self) -> &TopicShape {
        &self.shape
    }

    #[inline(always)]
    pub fn words(&self) -> &TopicWords {
        // SAFETY: Invariant 1; they begin on a page, and are atomics.
        unsafe { self.words.as_ref() }
    }

    /// All lines, used or not.
    #[inline(always)]
    pub fn lines(&self) -> &[SubscriberLine] {
        // SAFETY: Invariant 1: the lines follow the words, which are a multiple of their alignment.
        unsafe { NonNull::slice_from_raw_parts(self.words.add(1).cast(), self.shape.max_subscribers as usize).as_ref() }
    }
}
