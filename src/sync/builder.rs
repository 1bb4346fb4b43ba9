//! [`PrimitiveBuilder`]: everything that can be said about a primitive before it exists.

use super::primitive::{Primitive, PrimitiveKind, PrimitiveMemory};
use super::settings::PrimitiveSettings;
use crate::error::{CreateError, OpenError};
use crate::os::Deadline;
use crate::shm::kind::Kind;
use crate::shm::participant;
use crate::shm::segment::{Asked, Directory, Owners, Segment, Spec, checked_mode};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Settings of a primitive of [`shmq::sync`](crate::sync) to be created; made by its `builder`.
///
/// They count when the primitive is created; an opener takes what is there. Only `persist(true)`
/// takes effect later as well.
///
/// ```
/// use shmq::sync::{Event, Mutex};
///
/// # let name = format!("doc-sync-builder-{}", std::process::id());
/// // Users of the same group may use it, 10 processes at a time.
/// let stop = Event::builder().name(&name).mode(0o660).max_participants(10).create()?;
/// stop.set();
/// assert!(Event::builder().name(&name).open_or_create()?.is_set());
/// let anonymous = Mutex::builder(7u64).max_participants(1000).create()?;
/// assert_eq!(*anonymous.lock().unwrap(), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until create, open or open_or_create"]
pub struct PrimitiveBuilder<O> {
    shape: PrimitiveKind,
    count: u64,
    init: Box<dyn Fn(PrimitiveMemory) + Send + Sync>,
    over: fn(Arc<Primitive>) -> O,
    name: Option<String>,
    pub(super) settings: PrimitiveSettings,
    owners: Owners,
}

impl<O> PrimitiveBuilder<O> {
    /// `init` sees zeroed memory that no other process sees yet.
    pub(super) fn of(
        shape: PrimitiveKind,
        count: u64,
        init: impl Fn(PrimitiveMemory) + Send + Sync + 'static,
        over: fn(Arc<Primitive>) -> O,
    ) -> PrimitiveBuilder<O> {
        let settings = PrimitiveSettings::default();
        PrimitiveBuilder { shape, count, init: Box::new(init), over, name: None, settings, owners: Owners::default() }
    }

    /// Its name. Without one it is anonymous: for forked children, and for processes that are sent
    /// its handle.
    ///
    /// ```
    /// # let name = format!("doc-sync-name-{}", std::process::id());
    /// let event = shmq::sync::Event::builder().name(&name).create()?;
    /// assert_eq!(event.name(), name);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().to_owned());
        self
    }

    /// Permissions of the segment, 0600 if not set: which users may attach. The umask does not
    /// apply.
    ///
    /// ```
    /// let event = shmq::sync::Event::builder().mode(0o660).create()?;
    /// event.set();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mode(mut self, unix: u32) -> Self {
        self.settings.mode = Some(unix);
        self
    }

    /// Also open one that user `uid` owns. May be called several times. Only those of this
    /// process's effective user and of root are opened otherwise, as by a [queue's
    /// builder](crate::QueueBuilder::allow_owner).
    ///
    /// ```
    /// # let name = format!("doc-sync-allow-owner-{}", std::process::id());
    /// use shmq::sync::Event;
    ///
    /// let _server = Event::builder().name(&name).mode(0o666).create()?;
    /// let client = Event::builder().name(&name).allow_owner(1001).open()?;
    /// assert!(!client.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_owner(mut self, uid: u32) -> Self {
        self.owners = self.owners.allow_owner(uid);
        self
    }

    /// Open it whichever user owns it.
    ///
    /// ```
    /// # let name = format!("doc-sync-any-owner-{}", std::process::id());
    /// use shmq::sync::Event;
    ///
    /// let _server = Event::builder().name(&name).mode(0o666).create()?;
    /// let client = Event::builder().name(&name).allow_any_owner().open()?;
    /// assert!(!client.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_any_owner(mut self) -> Self {
        self.owners = self.owners.allow_any_owner();
        self
    }

    /// How many processes may be attached at once: 1 to 1023, 250 if not set.
    ///
    /// ```
    /// use shmq::sync::Event;
    ///
    /// assert!(Event::builder().max_participants(10).create().is_ok());
    /// assert!(Event::builder().max_participants(2000).create().is_err());
    /// ```
    pub fn max_participants(mut self, n: usize) -> Self {
        self.settings.max_participants = Some(n);
        self
    }

    /// The directory that it lies in, as
    /// [`QueueBuilder::directory`](crate::QueueBuilder::directory) of a queue.
    ///
    /// ```
    /// # let name = format!("shmq-doc-sync-{}", std::process::id());
    /// # let directory = std::env::temp_dir().join(name);
    /// # std::fs::create_dir(&directory)?;
    /// use shmq::sync::Event;
    ///
    /// let stop = Event::builder().directory(&directory).name("stop").create()?;
    /// assert!(!Event::builder().directory(&directory).name("stop").open()?.is_set());
    /// # drop(stop);
    /// # std::fs::remove_dir(&directory)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.settings.directory = Some(Directory::at(path));
        self
    }

    /// A full fence in each change, and no interruption of other processes by those that go to
    /// sleep, as [`QueueBuilder::full_fence`](crate::QueueBuilder::full_fence) of a queue.
    ///
    /// ```
    /// let event = shmq::sync::Event::builder().full_fence(true).create()?;
    /// event.set();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn full_fence(mut self, yes: bool) -> Self {
        self.settings.full_fence = yes;
        self
    }

    /// Keep the segment when its last participant leaves, until it is unlinked. Takes effect on a
    /// primitive that exists as well.
    ///
    /// ```
    /// # let name = format!("doc-sync-persist-{}", std::process::id());
    /// use shmq::sync::Event;
    ///
    /// Event::builder().name(&name).persist(true).create()?.set(); // its handle is dropped
    /// assert!(Event::open(&name)?.is_set());
    /// Event::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(mut self, yes: bool) -> Self {
        self.settings.persist = Some(yes);
        self
    }

    /// Creates it. No live segment may have the name.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed. [`OutOfRange`](CreateError::OutOfRange) for a number
    /// of participants that cannot be, [`TooManyParties`](CreateError::TooManyParties) for a
    /// barrier of more parties than participants.
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::builder(7u64).max_participants(2).create()?;
    /// assert_eq!(*mutex.lock().unwrap(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(self) -> Result<O, CreateError> {
        self.check()?;
        let spec = self.spec()?;
        Ok((self.over)(Primitive::create(self.name.as_deref(), &spec, &*self.init)?))
    }

    /// Opens what has the name, as it is, or creates it. **On a primitive that exists** only
    /// `persist(true)` takes effect: `unapplied_options` of the handle lists what was asked for
    /// otherwise and what is. A primitive whose users are all dead is replaced by a new one, unless
    /// it was persisted or is another user's: see the [module](crate::sync).
    ///
    /// # Errors
    /// As [`create`](Self::create); [`BadName`](CreateError::BadName) if no name was given.
    ///
    /// ```
    /// # let name = format!("doc-sync-open-or-create-{}", std::process::id());
    /// use shmq::sync::Value;
    ///
    /// let first = Value::builder(1u64).name(&name).open_or_create()?;
    /// let second = Value::builder(2u64).name(&name).open_or_create()?;
    /// assert_eq!(second.get()?, 1); // it existed
    /// # drop(first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(self) -> Result<O, CreateError> {
        self.check()?;
        let name = self.name.as_deref().ok_or(CreateError::BadName { name: String::new(), why: "no name was given" })?;
        let spec = self.spec()?;
        Ok((self.over)(Primitive::open_or_create(name, &spec, &self.shape, self.asked(), &*self.init)?))
    }

    /// What may differ in a primitive that exists already. Its first value is no option: an opener
    /// wants what is in it.
    fn asked(&self) -> Asked {
        Asked {
            capacity: self.shape.count_name().map(|name| (name, self.count)),
            mode: self.settings.mode,
            max_participants: self.settings.max_participants.map(|n| n as u32),
            persist: self.settings.persist,
            bounded: self.settings.bounded,
            ..Asked::default()
        }
    }

    /// Opens what has the name, as it is. Of the settings only `persist(true)` takes effect:
    /// `unapplied_options` lists the others that differ. The first value counts for nothing.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. Does not wait for it to be created: that does
    /// [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-sync-builder-open-{}", std::process::id());
    /// use shmq::sync::Event;
    ///
    /// # let _server = Event::builder().name(&name).create()?;
    /// let stop = Event::builder().name(&name).allow_owner(1001).open()?;
    /// assert!(!stop.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<O, OpenError> {
        self.open_by(None)
    }

    /// Like [`open`](Self::open), but waits for it to be created, for `timeout` at most and never
    /// less. As [`Queue::open_timeout`](crate::Queue::open_timeout).
    ///
    /// # Errors
    /// [`OpenError::Timeout`], or as [`open`](Self::open), at once.
    ///
    /// ```
    /// # let name = format!("doc-sync-builder-open-timeout-{}", std::process::id());
    /// use shmq::sync::Event;
    /// use std::time::Duration;
    ///
    /// # let _server = Event::builder().name(&name).create()?;
    /// let stop = Event::builder().name(&name).open_timeout(Duration::from_secs(5))?;
    /// assert!(!stop.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_timeout(self, timeout: Duration) -> Result<O, OpenError> {
        self.open_by(Some(Deadline::after(timeout)))
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`. One in the past means one try.
    ///
    /// # Errors
    /// As [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-sync-builder-open-deadline-{}", std::process::id());
    /// let builder = shmq::sync::Event::builder().name(&name);
    /// assert!(builder.open_deadline(std::time::Instant::now()).unwrap_err().is_timeout());
    /// ```
    pub fn open_deadline(self, deadline: Instant) -> Result<O, OpenError> {
        self.open_by(Some(Deadline::at(deadline)))
    }

    fn open_by(self, until: Option<Deadline>) -> Result<O, OpenError> {
        let name = self.name.as_deref().ok_or(OpenError::BadName { name: String::new(), why: "no name was given" })?;
        let asked = self.asked();
        let directory = self.settings.directory.unwrap_or_default();
        Ok((self.over)(Primitive::open(name, &self.shape, directory, self.owners, asked, until)?))
    }

    /// Removes the name, in the directory that was set. Processes that use what it led to go on
    /// with it.
    ///
    /// # Errors
    /// As `unlink` of what it builds: [`OpenError::NotFound`], [`OpenError::ForeignOwner`] ..
    ///
    /// ```
    /// # let name = format!("doc-sync-unlink-{}", std::process::id());
    /// use shmq::sync::Event;
    ///
    /// let event = Event::builder().name(&name).create()?;
    /// Event::builder().name(&name).unlink()?;
    /// assert!(!event.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(self) -> Result<(), OpenError> {
        let name = self.name.as_deref().ok_or(OpenError::BadName { name: String::new(), why: "no name was given" })?;
        Segment::unlink_of(name, &self.settings.directory.unwrap_or_default(), &self.owners)
    }

    fn spec(&self) -> Result<Spec, CreateError> {
        Ok(Spec { owners: self.owners.clone(), ..self.shape.spec(self.count, &self.settings)? })
    }

    fn check(&self) -> Result<(), CreateError> {
        checked_mode(self.settings.mode)?;
        let max_participants = participant::checked_count(self.settings.participants())?;
        if self.shape.kind == Kind::Barrier && self.count > u64::from(max_participants) {
            let parties = usize::try_from(self.count).unwrap_or(usize::MAX);
            return Err(CreateError::TooManyParties { parties, max_participants });
        }
        Ok(())
    }
}

impl<O> fmt::Debug for PrimitiveBuilder<O> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = out.debug_struct("PrimitiveBuilder");
        fields.field("shape", &self.shape).field("count", &self.count).field("name", &self.name);
        fields.field("settings", &self.settings).finish_non_exhaustive()
    }
}
