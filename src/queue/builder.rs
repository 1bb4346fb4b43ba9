//! Everything that can be said about a queue before it exists.

use super::Queue;
use crate::error::{CreateError, OpenError};
use crate::message::{Message, Travel};
use crate::raw::{RawQueue, messages_left};
use crate::shm::geometry::Geometry;
use crate::shm::layout::{SCHEMA_BYTES, kind};
use crate::shm::participant;
use crate::shm::segment::{Asked, Directory, Expect, Owners, Segment, Spec, Wanted, fault};
use crate::wait::strategy::WaitStrategy;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// Participants that a segment has room for, unless told otherwise: 64 bytes each.
const DEFAULT_PARTICIPANTS: usize = 120;
/// The header word counts deliveries in 8 bits.
const MAX_DELIVERIES: u32 = 255;
/// Bytes of a slice ring, unless told otherwise.
const DEFAULT_CAPACITY_BYTES: usize = 1 << 20;

const LONG_SCHEMA: &str = "a schema has at most 64 bytes";

/// Settings of a queue to be created or opened; made by [`Queue::builder`](crate::Queue::builder).
///
/// Settings of the segment (capacity, mode, schema ...) count when it is created; an opener takes what is there, and is told by
/// [`unapplied_options`](crate::Queue::unapplied_options). Only `persist(true)` takes effect later as well. Settings of the handle (the wait strategy, locked memory, huge pages) count for this process.
///
/// ```
/// use shmq::{Queue, WaitStrategy};
///
/// let frames = Queue::<[u8]>::builder().capacity_bytes(8 << 20).capacity(100).wait(WaitStrategy::Block).create()?;
/// assert_eq!(frames.capacity(), 100);
/// assert!(frames.max_len() >= 4_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until create, open or open_or_create"]
pub struct Builder<T: ?Sized> {
    name: Option<String>,
    capacity: Option<usize>,
    capacity_bytes: Option<usize>,
    strategy: WaitStrategy,
    schema: Option<String>,
    structure: Option<String>,
    mode: Option<u32>,
    persist: Option<bool>,
    max_deliveries: Option<u32>,
    dead_letters: Option<String>,
    max_participants: Option<usize>,
    lock_memory: bool,
    huge_pages: bool,
    owners: Owners,
    directory: Option<Directory>,
    full_fence: bool,
    /// Kind and type name of the messages, where they are not what `T` says.
    content: Option<(u32, String)>,
    carries: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized + Message> Builder<T> {
    pub(super) fn new() -> Builder<T> {
        Builder {
            name: None,
            capacity: None,
            capacity_bytes: None,
            strategy: WaitStrategy::default(),
            schema: None,
            structure: None,
            mode: None,
            persist: None,
            max_deliveries: None,
            dead_letters: None,
            max_participants: None,
            lock_memory: false,
            huge_pages: false,
            owners: Owners::default(),
            directory: None,
            full_fence: false,
            content: None,
            carries: PhantomData,
        }
    }

    /// Name by which other processes open the queue: 1 to 200 bytes without `/`. Without one, `create` makes an anonymous queue, which
    /// forked children inherit and serialised handles lead to.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().to_owned());
        self
    }

    /// Bound in messages: exactly that many fit.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// Bound in bytes. For slices (`Queue<[u8]>`) the size of the ring, each message with 16 bytes of header and rounded up to 16;
    /// the largest message takes half of it ([`max_len`](crate::Queue::max_len)). 1 MiB if not set. For sized messages, as many as
    /// fit into so many bytes of payload.
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacity_bytes = Some(bytes);
        self
    }

    /// How blocked calls of this handle wait.
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// A name for what the messages mean, such as `"tick/2"`, up to 64 bytes. Where creator and opener both set one, they must be equal,
    /// and nothing else is asked of the types but their size and alignment; otherwise the names of the message types and their
    /// [structural schemas](Message::schema) must be equal.
    ///
    /// ```
    /// # let name = format!("doc-schema-{}", std::process::id());
    /// let queue = shmq::Queue::<u64>::builder().name(&name).capacity(8).schema("nanoseconds").create()?;
    /// assert!(shmq::Queue::<i64>::open(&name).is_err());
    /// let signed = shmq::Queue::<i64>::builder().name(&name).schema("nanoseconds").open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema(mut self, schema: impl AsRef<str>) -> Self {
        self.schema = Some(schema.as_ref().to_owned());
        self
    }

    /// The structure of the messages as text, in place of the [structural schema](Message::schema) of `T`: `"{price: f64, volume: u64}"`. Where
    /// creator and opener both say one, they must be equal, or the error names both. An opener that says none compares its schema with a
    /// text that is written as such a schema, and is not asked about words of the creator's own; `""` asks and says nothing. Of a
    /// text longer than 4 KiB the segment keeps the beginning, and compares all of it.
    ///
    /// ```
    /// # let name = format!("doc-structure-{}", std::process::id());
    /// let queue = shmq::Queue::<[u64; 2]>::builder().name(&name).capacity(8).structure("{volume: u64, price: f64}").create()?;
    /// let other = shmq::Queue::<[u64; 2]>::builder().name(&name).structure("{price: f64, volume: u64}").open();
    /// assert!(matches!(other, Err(shmq::OpenError::Mismatch { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn structure(mut self, text: impl AsRef<str>) -> Self {
        self.structure = Some(text.as_ref().to_owned());
        self
    }

    /// Unix permissions of the segment, 0o600 (only this user) if not set. Whoever may write it is trusted with its contents.
    ///
    /// A process that may only read it sees all messages, and can hold read locks on the file.
    /// Those keep no dead process alive, and attached processes do not notice; but as long
    /// as it holds them it can keep other processes from attaching
    /// ([`NotReady`](crate::OpenError::NotReady)), and the name of a queue out of use
    /// from going away, being replaced ([`AlreadyExists`](crate::CreateError::AlreadyExists))
    /// or [unlinked](crate::Queue::unlink).
    pub fn mode(mut self, unix: u32) -> Self {
        self.mode = Some(unix);
        self
    }

    /// Also open a segment that user `uid` owns. May be called several times.
    ///
    /// The owner of a segment can read and change all that is in it, and whichever user asks for a name first owns what it leads to. So
    /// only segments of this process's effective user and of root are opened; one of another user is refused with
    /// [`ForeignOwner`](OpenError::ForeignOwner), also to root, and so is a dead one whose place [`create`](Builder::create) would take.
    /// The mode of the segment must let this process in as well. Only its owner (and root) can take its name away: where another user's
    /// process leaves last, the name stays for the owner's next `create`. A serialised handle opens by the same rule; where it comes from
    /// another user, open its queue by name first, with this: what a process has attached already is used.
    ///
    /// ```
    /// # let name = format!("doc-owner-{}", std::process::id());
    /// # let _server = shmq::Queue::<u64>::create(&name, 10)?;
    /// // Requests to a service that runs as user 1001.
    /// let requests = shmq::Queue::<u64>::builder().name(&name).allow_owner(1001).open()?;
    /// requests.put(&7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_owner(mut self, uid: u32) -> Self {
        self.owners = self.owners.allow_owner(uid);
        self
    }

    /// Open the segment whichever user owns it: see [`allow_owner`](Builder::allow_owner).
    pub fn allow_any_owner(mut self) -> Self {
        self.owners = self.owners.allow_any_owner();
        self
    }

    /// Keep the segment when its last participant leaves, with the messages in it, until [`unlink`](crate::Queue::unlink). Takes effect
    /// on a queue that exists as well, whoever created it, and is not taken back by `false`.
    pub fn persist(mut self, yes: bool) -> Self {
        self.persist = Some(yes);
        self
    }

    /// Give a leased message up once it was delivered `n` times and came back each time: it is put into the queue for
    /// [`dead_letters`](Self::dead_letters), if there is one, and dropped otherwise. 0, the default: deliver for ever. At most 255,
    /// which is as far as a message counts.
    pub fn max_deliveries(mut self, n: u32) -> Self {
        self.max_deliveries = Some(n.min(MAX_DELIVERIES));
        self
    }

    /// Put what is given up into the queue of that name, a [`DeadLetters`](crate::DeadLetters): messages that exceeded
    /// [`max_deliveries`](Self::max_deliveries), and those that are no value of the type (see [`GetError::Invalid`](crate::GetError::Invalid)
    /// and [`GetError::Decode`](crate::GetError::Decode)). The name stands in the segment, so that every process does the same; the
    /// queue of that name may be created later.
    ///
    /// The process that gives a message up leases it, puts it there with no lock held, and only then ends it: if it is killed in
    /// between, the message goes there twice, but never not at all. If that queue is missing, full, closed, too small or another kind
    /// of queue, the message stays on lease and keeps its room: this process tries again at most every 0.1 s, in its gets and in
    /// [`recover`](crate::Queue::recover) (one that was refused stops the others that wait), and when its last handle is dropped; then
    /// the next process that comes by once this one has left or died. So give it a queue of twice the bytes of the largest message, and
    /// some more: what is too large stays until a larger queue has the name. Refusals are counted in
    /// [`Stats::dead_letters_refused`](crate::Stats::dead_letters_refused), and `shmq doctor` names it.
    ///
    /// ```
    /// # let name = format!("doc-dead-{}", std::process::id());
    /// use shmq::{DeadLetters, Queue, letters::Reason};
    ///
    /// let letters = DeadLetters::create(&name, 1 << 16)?;
    /// let queue = Queue::<u64>::builder().capacity(8).max_deliveries(1).dead_letters(&name).create()?;
    /// queue.put(&7)?;
    /// queue.lease()?.give_back(); // once is all that it may
    /// assert!(matches!(queue.try_get(), Err(shmq::GetError::Empty)));
    ///
    /// let letter = letters.get()?;
    /// assert_eq!((letter.reason, letter.deliveries), (Reason::TooManyDeliveries, 1));
    /// assert_eq!((letter.queue.as_str(), letter.bytes), (queue.name(), 7u64.to_ne_bytes().to_vec()));
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(mut self, name: impl AsRef<str>) -> Self {
        self.dead_letters = Some(name.as_ref().to_owned());
        self
    }

    /// How many processes may be attached at once: 1 to 1023, 120 if not set. 64 bytes each.
    pub fn max_participants(mut self, n: usize) -> Self {
        self.max_participants = Some(n);
        self
    }

    /// The directory that the queue lies in, instead of `/dev/shm` or the one that the environment variable `SHMQ_DIR` names. Processes meet
    /// there by name as long as they name the same one; a serialised handle says which. Functions that take a name only
    /// ([`Queue::open`](crate::Queue::open), `unlink`, [`inspect`](crate::inspect), the command) look into that of the program.
    ///
    /// It must be this user's or root's, no other user may take files away in it (sticky, like `/tmp`, or closed to them), and its file
    /// system must let processes of this machine share memory by files: a tmpfs, or a local disk, which then may write the messages
    /// out. Checked at `create` and `open`, whose error [`Directory`](CreateError::Directory) says what is wrong.
    ///
    /// ```
    /// # let directory = std::env::temp_dir().join(format!("shmq-doc-{}", std::process::id()));
    /// # std::fs::create_dir(&directory)?;
    /// use shmq::Queue;
    ///
    /// let queue = Queue::<u64>::builder().directory(&directory).name("jobs").capacity(10).create()?;
    /// queue.put(&1)?;
    /// let same = Queue::<u64>::builder().directory(&directory).name("jobs").open()?;
    /// assert_eq!(same.get()?, 1);
    /// # drop((queue, same));
    /// # std::fs::remove_dir(&directory)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = Some(Directory::at(path));
        self
    }

    /// How putters and those that fall asleep see each other, for all processes that use the queue. `false`, the default: a process that goes to
    /// sleep in a get or a put calls `membarrier`, which interrupts, for some microseconds, each running thread of each process that has a
    /// queue open, whichever queue; puts and gets need no fence for it. `true`: each put and get executes a full fence (some 12 ns; endpoints lose more, 4 -> 35 ns for both), and nobody is
    /// interrupted: a process that uses only such queues is out of the reach of others' sleeps, as real-time threads want it.
    ///
    /// It counts when the queue is created; where the kernel, or a seccomp filter, refuses `membarrier` to its creator, it is `true` by itself.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(10).full_fence(true).create()?;
    /// queue.put(&1)?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn full_fence(mut self, yes: bool) -> Self {
        self.full_fence = yes;
        self
    }

    /// Lock the segment into memory (`mlock`), so that no access ever waits for a page. Bounded by `RLIMIT_MEMLOCK`.
    pub fn lock_memory(mut self, yes: bool) -> Self {
        self.lock_memory = yes;
        self
    }

    /// Ask for huge pages, which pays for rings of many megabytes. A wish: the kernel may not grant it.
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.huge_pages = yes;
        self
    }

    /// Describes the messages otherwise than `T` does: encoded objects in slices of bytes.
    pub(crate) fn content(mut self, kind: u32, type_name: String) -> Self {
        self.content = Some((kind, type_name));
        self
    }

    /// Creates the queue. A dead segment of that name is replaced unless it was persisted.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    pub fn create(self) -> Result<Queue<T>, CreateError> {
        let spec = self.spec()?;
        Ok(Queue::over(RawQueue::create(self.name.as_deref(), &spec, self.strategy)?, self.schema).of_structure(self.structure))
    }

    /// Opens the queue that another process created. A dead one is opened too, as it was left: its messages are still there.
    ///
    /// Of the settings of the segment only `persist(true)` takes effect; what the queue has otherwise than asked for is in
    /// [`unapplied_options`](crate::Queue::unapplied_options).
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. Does not wait for a queue to be created.
    pub fn open(self) -> Result<Queue<T>, OpenError> {
        let name = self.name.as_deref().ok_or(OpenError::BadName { name: String::new(), why: "no name was given" })?;
        // No segment has one, but some may have its beginning.
        if let Some(schema) = self.long_schema() {
            return Err(OpenError::BadName { name: schema.to_owned(), why: LONG_SCHEMA });
        }
        Ok(Queue::over(RawQueue::open(name, &self.expect(), self.strategy)?, self.schema).of_structure(self.structure))
    }

    /// Opens the queue, or creates it if there is none. **On a queue that exists** `capacity`, `capacity_bytes`, `mode`, `max_deliveries`
    /// and `max_participants` do not take effect: [`unapplied_options`](crate::Queue::unapplied_options) lists what was asked for and what
    /// is. `persist(true)` does take effect. Of several processes that call this at once, one creates.
    ///
    /// **If all users of the queue are dead** (killed, or ended by `_exit`), what is found depends on what they left:
    /// - an open queue is opened, and its messages are still there;
    /// - one that was [closed](crate::Queue::close), with messages in it, is opened: getters drain it, and a put is
    ///   [`Closed`](crate::PutError::Closed), as it was for its predecessors. Once it is drained, and whoever drained it has left or died, the
    ///   next call replaces it: a putter that finds a queue closed that it has just opened drops its handle and tries again later;
    /// - one that is closed and drained, that is poisoned, or that carries messages of another type, schema or structure, is replaced by a
    ///   new one. Messages that go with it are counted in a `tracing` event and by `shmq doctor`.
    ///
    /// A [persisted](Self::persist) queue, or another user's, is never replaced: such a closed one stays closed until it is
    /// [unlinked](crate::Queue::unlink), and one of another type is a [`Mismatch`](CreateError::Mismatch), as one in use is.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    pub fn open_or_create(self) -> Result<Queue<T>, CreateError> {
        let name = self.name.as_deref().ok_or(CreateError::BadName { name: String::new(), why: "no name was given" })?;
        let raw = RawQueue::open_or_create(name, &self.spec()?, &self.expect(), self.strategy)?;
        Ok(Queue::over(raw, self.schema).of_structure(self.structure))
    }

    /// Removes the name, in the directory that was set, as [`Queue::unlink`](crate::Queue::unlink).
    ///
    /// # Errors
    /// As [`Queue::unlink`](crate::Queue::unlink); owners that were allowed may be the segment's.
    ///
    /// ```
    /// # let name = format!("doc-builder-unlink-{}", std::process::id());
    /// let queue = shmq::Queue::<u64>::builder().name(&name).capacity(10).create()?;
    /// shmq::Queue::<u64>::builder().name(&name).unlink()?;
    /// assert!(!queue.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(self) -> Result<(), OpenError> {
        let name = self.name.as_deref().ok_or(OpenError::BadName { name: String::new(), why: "no name was given" })?;
        Segment::unlink_of(name, &self.directory.unwrap_or_default(), &self.owners)
    }

    fn expect(&self) -> Expect {
        let mut expect = super::expect::<T>(self.schema.clone());
        if let Some((kind, type_name)) = &self.content {
            expect.kind = *kind;
            expect.type_name.clone_from(type_name);
            expect.structure = None;
        }
        if let Some(text) = &self.structure {
            expect.structure = Some(Wanted::Said(text.clone()));
        }
        expect.lock_memory = self.lock_memory;
        expect.huge_pages = self.huge_pages;
        expect.asked = self.asked();
        expect.owners.clone_from(&self.owners);
        expect.directory = self.directory.clone().unwrap_or_default();
        expect
    }

    fn asked(&self) -> Asked {
        Asked {
            capacity: self.capacity.map(|messages| ("capacity", messages as u64)),
            capacity_bytes: self.capacity_bytes.map(|bytes| bytes as u64),
            geometry: self.geometry().ok(),
            mode: self.mode,
            max_deliveries: self.max_deliveries,
            dead_letters: self.dead_letters.clone(),
            max_participants: self.max_participants.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            persist: self.persist,
        }
    }

    fn long_schema(&self) -> Option<&str> {
        self.schema.as_deref().filter(|schema| schema.len() > SCHEMA_BYTES)
    }

    fn spec(&self) -> Result<Spec, CreateError> {
        if let Some(schema) = self.long_schema() {
            return Err(CreateError::BadName { name: schema.to_owned(), why: LONG_SCHEMA });
        }
        if let Some(name) = &self.dead_letters {
            let of_itself = (self.name.as_ref() == Some(name)).then_some("a queue is not its own queue for dead letters");
            if let Some(why) = fault(name).or(of_itself) {
                return Err(CreateError::BadName { name: name.clone(), why });
            }
        }
        let max_participants = participant::checked_count(self.max_participants.unwrap_or(DEFAULT_PARTICIPANTS))?;
        // What is encoded in bytes has the structure that its caller says, if any.
        let (kind, type_name, of_type) = match self.content.clone() {
            Some((kind, type_name)) => (kind, type_name, None),
            None => (T::WIRE.kind, T::unit_name(), Some(T::schema())),
        };
        Ok(Spec {
            kind,
            geometry: self.geometry()?,
            type_name,
            schema: self.schema.clone(),
            structure: self.structure.clone().or(of_type),
            max_participants,
            max_deliveries: self.max_deliveries.unwrap_or(0),
            dead_letters: self.dead_letters.clone(),
            persist: self.persist == Some(true),
            mode: self.mode,
            lock_memory: self.lock_memory,
            huge_pages: self.huge_pages,
            messages_left,
            owners: self.owners.clone(),
            directory: self.directory.clone().unwrap_or_default(),
            full_fence: self.full_fence,
        })
    }

    fn geometry(&self) -> Result<Geometry, CreateError> {
        let unit_bytes = T::WIRE.unit_bytes as u64;
        let unit_align = T::WIRE.unit_align as u64;
        let refuse = |option, asked: usize, max: u64| match max {
            // None at all: the messages do not fit.
            0 => CreateError::BadMessage { bytes: T::WIRE.unit_bytes, align: T::WIRE.unit_align },
            max => CreateError::BadCapacity { option, asked, max: usize::try_from(max).unwrap_or(usize::MAX) },
        };
        if T::WIRE.kind == kind::SIZED {
            let by_bytes = self.capacity_bytes.map(|bytes| if unit_bytes == 0 { usize::MAX } else { bytes / T::WIRE.unit_bytes });
            let capacity = match (self.capacity, by_bytes) {
                (Some(messages), Some(fit)) => messages.min(fit),
                (Some(messages), None) => messages,
                (None, Some(fit)) => fit,
                (None, None) => 0,
            };
            // Which of the two is too small, or too large.
            let option = if self.capacity == Some(capacity) || by_bytes.is_none() { "capacity" } else { "capacity_bytes" };
            let asked = if option == "capacity" { capacity } else { self.capacity_bytes.unwrap_or(0) };
            let unit = if option == "capacity" { 1 } else { unit_bytes.max(1) };
            return Geometry::sized(unit_bytes, unit_align, capacity as u64)
                .map_err(|max| refuse(option, asked, max.saturating_mul(unit)));
        }
        let bytes = self.capacity_bytes.unwrap_or(DEFAULT_CAPACITY_BYTES);
        let messages = self.capacity.map_or(u64::MAX, |messages| messages as u64);
        Geometry::slice(unit_bytes, unit_align, messages, bytes as u64)
            .map_err(|max| if messages == 0 { refuse("capacity", 0, u64::MAX) } else { refuse("capacity_bytes", bytes, max) })
    }
}

impl<T: ?Sized> fmt::Debug for Builder<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Builder")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("capacity_bytes", &self.capacity_bytes)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
