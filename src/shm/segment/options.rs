//! Options that a caller asked for, and an existing segment does not have.

use super::header::SegmentInfo;
use super::spec::mode_bits;
use crate::error::CreateError;
use crate::shm::geometry::Geometry;
use std::fmt;

/// The permissions of a file: more than these are no permissions.
const MAX_MODE: u32 = 0o777;

/// An option of a builder that could not take effect, because the segment existed already: see
/// [`Queue::unapplied_options`](crate::Queue::unapplied_options).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnappliedOption {
    /// The option, as the builder's method is called.
    pub option: &'static str,
    /// What was asked for.
    pub asked: String,
    /// What the segment has, as its creator chose it.
    pub actual: String,
}

impl fmt::Display for UnappliedOption {
    /// `capacity: asked for 100, is 8`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: asked for {}, is {}", self.option, self.asked, self.actual)
    }
}

/// Checks permissions that a builder was given.
pub(crate) fn checked_mode(mode: Option<u32>) -> Result<Option<u32>, CreateError> {
    match mode {
        Some(asked) if asked > MAX_MODE => {
            Err(CreateError::OutOfRange { option: "mode", asked: asked as usize, min: 0, max: MAX_MODE as usize })
        }
        mode => Ok(mode),
    }
}

/// The options that a caller set explicitly. Defaults are not recorded: they are not requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// A bound in messages (or parties, permits, elements), and the option's name.
    pub capacity: Option<(&'static str, u64)>,
    pub capacity_bytes: Option<u64>,
    /// The geometry that these would give, where they determine one.
    pub geometry: Option<Geometry>,
    pub mode: Option<u32>,
    pub max_deliveries: Option<u32>,
    pub dead_letters: Option<String>,
    pub max_participants: Option<u32>,
    pub persist: Option<bool>,
    pub close_when_unused: Option<bool>,
    /// Of a semaphore.
    pub bounded: Option<bool>,
    /// Of a topic, as the next two.
    pub history: Option<u64>,
    pub max_subscribers: Option<u32>,
    pub max_lag: Option<u64>,
    pub max_spilled_bytes: Option<u64>,
}

impl Asked {
    /// The options in which a segment with this info and these permissions differs.
    pub(super) fn unapplied(&self, schema: Option<&str>, info: &SegmentInfo, mode: u32, persisted: bool) -> Vec<UnappliedOption> {
        let mut found = Vec::new();
        let mut differs = |option, asked: String, actual: String| {
            if asked != actual {
                found.push(UnappliedOption { option, asked, actual });
            }
        };
        let is = info.geometry;
        let unbounded = |messages: u64| if messages == u64::MAX { "unbounded".to_owned() } else { messages.to_string() };
        // A ring is rounded up to whole cells: a request that would have given the same ring is no
        // difference.
        if let Some((option, capacity)) = self.capacity.filter(|_| self.geometry.is_none_or(|ring| ring.capacity != is.capacity))
        {
            differs(option, capacity.to_string(), unbounded(is.capacity));
        }
        let would_be_other = self.geometry.is_none_or(|ring| ring.ring_bytes() != is.ring_bytes());
        if let Some(bytes) = self.capacity_bytes.filter(|_| would_be_other) {
            let actual = if is.sized { is.capacity.saturating_mul(is.message_bytes) } else { is.ring_bytes() };
            differs("capacity_bytes", bytes.to_string(), actual.to_string());
        }
        if let Some(asked) = self.mode.map(mode_bits) {
            differs("mode", format!("{asked:#05o}"), format!("{mode:#05o}"));
        }
        if let Some(asked) = self.max_deliveries {
            differs("max_deliveries", asked.to_string(), info.max_deliveries.to_string());
        }
        if let Some(asked) = &self.dead_letters {
            differs("dead_letters", asked.clone(), info.dead_letters.clone().unwrap_or_else(|| "none".to_owned()));
        }
        if let Some(asked) = self.max_participants {
            differs("max_participants", asked.to_string(), info.max_participants.to_string());
        }
        if let Some(asked) = self.max_spilled_bytes {
            differs("max_spilled_bytes", asked.to_string(), info.max_spilled_bytes.to_string());
        }
        if let Some(asked) = self.close_when_unused {
            differs("close_when_unused", asked.to_string(), info.close_when_unused.to_string());
        }
        if let Some(asked) = self.bounded {
            differs("bounded", asked.to_string(), info.bounded.to_string());
        }
        if let Some(shape) = &info.topic {
            let of_topic = [
                ("history", self.history, shape.history),
                ("max_subscribers", self.max_subscribers.map(u64::from), shape.max_subscribers.into()),
                ("max_lag_before_evict", self.max_lag, shape.max_lag),
            ];
            for (option, asked, actual) in of_topic {
                if let Some(asked) = asked {
                    differs(option, asked.to_string(), actual.to_string());
                }
            }
        }
        // `true` takes effect, and cannot be undone.
        if self.persist == Some(false) {
            differs("persist", false.to_string(), persisted.to_string());
        }
        if let (Some(asked), None) = (schema, &info.schema) {
            differs("schema", asked.to_owned(), "none".to_owned());
        }
        found
    }
}
