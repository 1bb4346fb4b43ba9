//! What a segment holds: one list, which every match covers whole.

/// Makes the enum and the list of its variants from one text, so that neither has a kind that the
/// other lacks.
macro_rules! kinds {
    ($(#[$on_enum:meta])* pub enum Kind { $($(#[$on_variant:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$on_enum])*
        pub enum Kind {
            $($(#[$on_variant])* $variant = $number,)*
        }

        impl Kind {
            /// Every kind there is.
            const ALL: &[Kind] = &[$(Kind::$variant),*];
        }
    };
}

kinds! {
    /// What a segment is: how the messages of a queue or a topic lie in memory, or which primitive of
    /// [`sync`](crate::sync) it holds.
    ///
    /// ```
    /// use shmq::inspect::{Inspector, Kind};
    ///
    /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
    /// let kind = Inspector::open(queue.name())?.about().kind;
    /// assert!(kind == Kind::Slice && kind.is_queue());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    #[repr(u32)]
    pub enum Kind {
        /// A queue of plain values, all of one size, one cell each.
        Sized = 1,
        /// A queue of slices of plain elements.
        Slice = 2,
        /// A queue of encoded objects, of an `ObjectQueue`: in the ring, slices of bytes.
        Encoded = 3,
        /// A topic of plain values, all of one size.
        TopicSized = 4,
        /// A topic of slices of plain elements.
        TopicSlice = 5,
        /// A topic of encoded objects.
        TopicEncoded = 6,
        /// One plain value behind a lock.
        Mutex = 16,
        /// A slice of plain elements behind a lock.
        Array = 17,
        /// One plain value that changes as a whole.
        Value = 18,
        /// A flag to wait for.
        Event = 19,
        /// Permits.
        Semaphore = 20,
        /// A place to sleep with a mutex.
        Condvar = 21,
        /// A place where parties wait for each other.
        Barrier = 22,
        /// A lock without data, which any process may release.
        Lock = 23,
        /// A lock without data that its thread may take again.
        ReentrantLock = 24,
    }
}

impl Kind {
    /// The kind that a segment header names; `None` for a number that no version of this format
    /// writes.
    pub(crate) fn of_header(number: u32) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|&kind| kind as u32 == number)
    }

    /// Is it a queue, which gives each message to one getter?
    ///
    /// ```
    /// use shmq::inspect::Kind;
    ///
    /// assert!(Kind::Encoded.is_queue() && !Kind::Mutex.is_queue());
    /// ```
    pub fn is_queue(self) -> bool {
        matches!(self, Kind::Sized | Kind::Slice | Kind::Encoded)
    }

    /// Is it a topic, whose messages go to every subscriber?
    ///
    /// ```
    /// use shmq::inspect::Kind;
    ///
    /// assert!(Kind::TopicSlice.is_topic() && !Kind::Slice.is_topic());
    /// ```
    pub fn is_topic(self) -> bool {
        matches!(self, Kind::TopicSized | Kind::TopicSlice | Kind::TopicEncoded)
    }

    /// Has it a ring of messages, as queues and topics have?
    pub(crate) fn has_ring(self) -> bool {
        self.is_queue() || self.is_topic()
    }

    /// What an error about such a segment calls it.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Kind::Sized | Kind::Slice | Kind::Encoded => "queue",
            Kind::TopicSized | Kind::TopicSlice | Kind::TopicEncoded => "topic",
            Kind::Mutex => "mutex",
            Kind::Array => "array",
            Kind::Value => "value",
            Kind::Event => "event",
            Kind::Semaphore => "semaphore",
            Kind::Condvar => "condition variable",
            Kind::Barrier => "barrier",
            Kind::Lock => "lock",
            Kind::ReentrantLock => "reentrant lock",
        }
    }

    /// In a word.
    ///
    /// ```
    /// assert_eq!(shmq::inspect::Kind::Condvar.in_words(), "condvar");
    /// ```
    pub fn in_words(self) -> &'static str {
        match self {
            Kind::Sized => "sized",
            Kind::Slice => "slice",
            Kind::Encoded => "encoded",
            Kind::TopicSized => "topic",
            Kind::TopicSlice => "topic of slices",
            Kind::TopicEncoded => "topic of objects",
            Kind::Mutex => "mutex",
            Kind::Array => "array",
            Kind::Value => "value",
            Kind::Event => "event",
            Kind::Semaphore => "semaphore",
            Kind::Condvar => "condvar",
            Kind::Barrier => "barrier",
            Kind::Lock => "lock",
            Kind::ReentrantLock => "reentrant lock",
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_each_kind_leads_back_to_it() {
        for number in 0..100 {
            match Kind::of_header(number) {
                Some(kind) => assert_eq!(kind as u32, number),
                None => assert!(Kind::ALL.iter().all(|&kind| kind as u32 != number)),
            }
        }
    }

    #[test]
    fn no_two_kinds_have_the_same_word() {
        let words: std::collections::HashSet<&str> = Kind::ALL.iter().map(|kind| kind.in_words()).collect();
        assert_eq!(words.len(), Kind::ALL.len());
    }
}
