//! What can be set before a queue is created or opened.

use super::{Delivering, QueueBuilder};
use crate::shm::segment::Directory;
use crate::wait::WaitStrategy;
use std::mem;
use std::path::Path;

impl<Q> QueueBuilder<Q> {
    /// The name by which other processes open the queue: 1 to 200 bytes without `/`. Without a name
    /// `create` makes an anonymous queue, for forked children and for handles that are sent.
    ///
    /// ```
    /// # let name = format!("doc-name-{}", std::process::id());
    /// let queue = shmq::Queue::<u64>::builder().name(&name).capacity(10).create()?;
    /// assert_eq!(queue.name(), name);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(self, name: impl AsRef<str>) -> Self {
        self.with(|settings| settings.name = Some(name.as_ref().to_owned()))
    }

    /// Bound in messages: exactly that many fit. Slices and objects have a bound in bytes beside
    /// it.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(2).create()?;
    /// queue.put_slice(&[1, 2])?;
    /// assert!(queue.try_put(&3).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(self, messages: usize) -> Self {
        self.with(|settings| settings.capacity = Some(messages))
    }

    /// Bound in bytes. For slices (`Queue<[u8]>`) and objects it is the size of the ring, 1 MiB if
    /// not set: each message takes its own bytes rounded up to 16, and 16 more; the largest message
    /// takes half of the ring ([`max_len`](crate::Queue::max_len)). For messages of one size, as
    /// many as fit into so many bytes of payload.
    ///
    /// ```
    /// let samples = shmq::Queue::<[f32]>::builder().capacity_bytes(1 << 16).create()?;
    /// assert!(samples.max_len() >= 8_000);
    /// let prices = shmq::Queue::<f64>::builder().capacity_bytes(8_000).create()?;
    /// assert_eq!(prices.capacity(), 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(self, bytes: usize) -> Self {
        self.with(|settings| settings.capacity_bytes = Some(bytes))
    }

    /// How blocked calls of this handle wait.
    ///
    /// ```
    /// use shmq::{Queue, WaitStrategy};
    ///
    /// let builder = Queue::<u64>::builder().capacity(10);
    /// let queue = builder.wait_strategy(WaitStrategy::Spin).create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_strategy(self, strategy: WaitStrategy) -> Self {
        self.with(|settings| settings.strategy = strategy)
    }

    /// A name for what the messages mean, such as `"tick/2"`, up to 64 bytes. Where creator and
    /// opener both set one, the two must be equal, and the types must agree in size and alignment
    /// only. Otherwise the names of the message types and their
    /// [structural schemas](crate::Message::schema) must be equal.
    ///
    /// ```
    /// # let name = format!("doc-schema-{}", std::process::id());
    /// use shmq::Queue;
    ///
    /// let builder = Queue::<u64>::builder().name(&name).capacity(8);
    /// let queue = builder.schema("nanoseconds").create()?;
    /// assert!(Queue::<i64>::open(&name).is_err());
    /// let signed = Queue::<i64>::builder().name(&name).schema("nanoseconds").open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema(self, schema: impl AsRef<str>) -> Self {
        self.with(|settings| settings.schema = Some(schema.as_ref().to_owned()))
    }

    /// The structure of the messages as text, in place of the
    /// [structural schema](crate::Message::schema) of the type: `"{price: f64, volume: u64}"`.
    ///
    /// Where creator and opener both set one, the two must be equal, or the error names both. An
    /// opener that sets none compares the schema of its type with a text that is written as such a
    /// schema, and ignores any other text. `""` switches the check off. Of a text longer than 4 KiB
    /// the segment keeps the beginning, and compares all of it.
    ///
    /// ```
    /// # let name = format!("doc-structure-{}", std::process::id());
    /// let builder = || shmq::Queue::<[u64; 2]>::builder().name(&name).capacity(8);
    /// let queue = builder().structure("{volume: u64, price: f64}").create()?;
    /// let other = builder().structure("{price: f64, volume: u64}").open();
    /// assert!(matches!(other, Err(shmq::OpenError::Mismatch { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn structure(self, text: impl AsRef<str>) -> Self {
        self.with(|settings| settings.structure = Some(text.as_ref().to_owned()))
    }

    /// Unix permissions of the segment, 0o600 (only this user) if not set, 0o777 at most. The owner
    /// can always read and write; bits for executing have no effect, nor has the umask. A process
    /// that may write the segment is trusted with its contents.
    ///
    /// A process that may only read it sees all messages, and can hold read locks on the file.
    /// Those keep no dead process alive, and attached processes do not notice them. But while it
    /// holds them it can keep other processes from attaching
    /// ([`NotReady`](crate::OpenError::NotReady)), and it can keep the name of a queue out of use
    /// from going away, being replaced ([`AlreadyExists`](crate::CreateError::AlreadyExists)) or
    /// [unlinked](crate::Queue::unlink).
    ///
    /// ```
    /// let builder = || shmq::Queue::<u64>::builder().capacity(10);
    /// let queue = builder().mode(0o660).create()?;
    /// let refused = builder().mode(660).create().unwrap_err(); // decimal, by mistake
    /// let text = "mode 0o1224 cannot be used: it must be from 0o0 to 0o777";
    /// assert_eq!(refused.to_string(), text);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mode(self, unix: u32) -> Self {
        self.with(|settings| settings.mode = Some(unix))
    }

    /// Also open a segment that user `uid` owns. May be called several times.
    ///
    /// The owner of a segment can read and change all that is in it, and the first user to create a
    /// name owns it. So only segments of this process's effective user and of root are opened.
    /// Another user's is refused with [`ForeignOwner`](crate::OpenError::ForeignOwner), also to
    /// root, and so is a dead one that [`create`](Self::create) would replace. The mode of the
    /// segment must let this process in as well.
    ///
    /// Only its owner (and root) can remove its name: where another user's process leaves last, the
    /// name stays for the owner's next `create`. A serialised handle opens by the same rule. If it
    /// comes from another user, open its queue by name first, with this method: a deserialised
    /// handle uses what the process has attached already.
    ///
    /// ```
    /// # let name = format!("doc-owner-{}", std::process::id());
    /// # let _server = shmq::Queue::<u64>::create(&name, 10)?;
    /// // Requests to a service that runs as user 1001.
    /// let requests = shmq::Queue::<u64>::builder().name(&name).allow_owner(1001).open()?;
    /// requests.put(&7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_owner(self, uid: u32) -> Self {
        self.with(|settings| settings.owners = mem::take(&mut settings.owners).allow_owner(uid))
    }

    /// Open the segment whichever user owns it: see [`allow_owner`](Self::allow_owner).
    ///
    /// ```
    /// # let name = format!("doc-any-owner-{}", std::process::id());
    /// # let _server = shmq::Queue::<u64>::create(&name, 10)?;
    /// let requests = shmq::Queue::<u64>::builder().name(&name).allow_any_owner().open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_any_owner(self) -> Self {
        self.with(|settings| settings.owners = mem::take(&mut settings.owners).allow_any_owner())
    }

    /// Keep the segment when its last participant leaves, with the messages in it, until it is
    /// [unlinked](crate::Queue::unlink) or the machine restarts. Takes effect on a queue that
    /// exists as well, whichever process created it; `false` does not undo it.
    ///
    /// ```
    /// # let name = format!("doc-builder-persist-{}", std::process::id());
    /// use shmq::Queue;
    ///
    /// Queue::<u64>::builder().name(&name).capacity(10).persist(true).create()?.put(&1)?;
    /// assert_eq!(Queue::<u64>::open(&name)?.get()?, 1);
    /// Queue::<u64>::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(self, yes: bool) -> Self {
        self.with(|settings| settings.persist = Some(yes))
    }

    /// Close the queue by itself when one side is gone, as crossbeam's channels (`Disconnected`)
    /// and pipes do: once there has been a [`Sender`](crate::Sender) and none is left, getters
    /// drain the queue and then see `Closed`; once there has been a [`Receiver`](crate::Receiver)
    /// and none is left, putters see `Closed`, those that wait too. It counts when the queue is
    /// created.
    ///
    /// - [`Producer`](crate::Producer) and [`Consumer`](crate::Consumer) count as sender and
    ///   receiver. A [`Queue`](crate::Queue) is both and keeps both sides open as long as it lives;
    ///   it counts as one that there has been once a message was put, or taken. So a server may
    ///   open the queue, make a receiver of it, and wait for its first client.
    /// - Handles of dead processes are gone. A process that waits, on either side, finds that out
    ///   within 0.1 s; the drop of the last handle closes at once.
    /// - **Closing is for good.** A service whose only worker restarts does not ask for it, or
    ///   keeps a handle of that role in its supervisor.
    /// - A forked child's handles count from their first call, or by
    ///   [`keep`](crate::ProcessBuilder::keep). One that only reads does not wait for itself.
    /// - **A topic** closes once there has been a [`Publisher`](crate::Publisher) and none is left,
    ///   in any process: subscribers read what there is, and then see `Closed`. Nothing else keeps
    ///   it open, a [`Topic`](crate::Topic) neither; what that publishes by lock does not count.
    ///
    /// ```
    /// use shmq::{GetError, Queue};
    ///
    /// let queue = Queue::<u64>::builder().capacity(8).close_when_unused(true).create()?;
    /// let (sender, receiver) = (queue.sender(), queue.receiver());
    /// drop(queue);
    /// sender.put(&1)?;
    /// drop(sender);
    /// assert_eq!(receiver.get()?, 1);
    /// assert!(matches!(receiver.get(), Err(GetError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_when_unused(self, yes: bool) -> Self {
        self.with(|settings| settings.close_when_unused = Some(yes))
    }

    /// How many processes may be attached at once: 1 to 1023, 120 if not set. 64 bytes each.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(10).max_participants(2).create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_participants(self, n: usize) -> Self {
        self.with(|settings| settings.max_participants = Some(n))
    }

    /// The directory of the segment, instead of `/dev/shm` or the one that the environment variable
    /// `SHMQ_DIR` names. Processes meet there by name as long as they name the same directory; a
    /// serialised handle says which. Functions that take a name only
    /// ([`Queue::open`](crate::Queue::open), `unlink`, [`inspect`](crate::inspect), the command)
    /// use that of the program.
    ///
    /// It must be this user's or root's, no other user may remove files in it (sticky, like `/tmp`,
    /// or closed to them), and its file system must let processes of this machine share memory by
    /// files: a tmpfs, or a local disk, which then may write the messages out. `create` and `open`
    /// check it; the error is [`Directory`](crate::CreateError::Directory).
    ///
    /// ```
    /// # let directory = std::env::temp_dir().join(format!("shmq-doc-{}", std::process::id()));
    /// # std::fs::create_dir(&directory)?;
    /// use shmq::Queue;
    ///
    /// let jobs = || Queue::<u64>::builder().directory(&directory).name("jobs");
    /// let queue = jobs().capacity(10).create()?;
    /// queue.put(&1)?;
    /// let same = jobs().open()?;
    /// assert_eq!(same.get()?, 1);
    /// # drop((queue, same));
    /// # std::fs::remove_dir(&directory)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn directory(self, path: impl AsRef<Path>) -> Self {
        self.with(|settings| settings.directory = Some(Directory::at(path)))
    }

    /// How a put and a consumer that goes to sleep see each other (and a get and a producer), for
    /// all processes that use the queue.
    ///
    /// `false`, the default: a process that goes to sleep in a get or a put calls `membarrier`,
    /// which interrupts, for some microseconds, each running thread of each process that has any
    /// queue open; puts and gets need no fence. `true`: each put and get executes a full fence
    /// (some 12 ns; a put and a get by endpoints take 35 ns instead of 4), and no thread is
    /// interrupted. A process that uses only such queues is out of reach of other processes'
    /// sleeps, as real-time threads want it.
    ///
    /// It counts when the queue is created. Where the kernel, or a seccomp filter, refuses
    /// `membarrier` to its creator, it is `true` whatever was set.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(10).full_fence(true).create()?;
    /// queue.put(&1)?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn full_fence(self, yes: bool) -> Self {
        self.with(|settings| settings.full_fence = yes)
    }

    /// Lock the segment into memory (`mlock`), so that no access ever waits for a page. Beyond
    /// `RLIMIT_MEMLOCK` the queue is not created or opened.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(10).lock_memory(true).create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock_memory(self, yes: bool) -> Self {
        self.with(|settings| settings.lock_memory = yes)
    }

    /// Ask for huge pages, which pays for rings of many megabytes. The kernel may not grant them,
    /// and that is no error.
    ///
    /// ```
    /// let builder = shmq::Queue::<[u8]>::builder().capacity_bytes(64 << 20);
    /// let frames = builder.huge_pages(true).create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn huge_pages(self, yes: bool) -> Self {
        self.with(|settings| settings.huge_pages = yes)
    }
}

/// Options of queues, whose messages are taken.
impl<Q: Delivering> QueueBuilder<Q> {
    /// Give a leased message up after `n` deliveries that all came back. It goes to the queue for
    /// [`dead_letters`](Self::dead_letters), if there is one, and is dropped otherwise. 0, the
    /// default: deliver without limit. At most 255, which is as far as a message counts; more is
    /// [`CreateError::OutOfRange`](crate::CreateError::OutOfRange).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(2).create()?;
    /// queue.put(&7)?;
    /// queue.lease()?.give_back();
    /// queue.lease()?.give_back();
    /// assert!(queue.try_lease().unwrap_err().is_empty()); // it was dropped
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_deliveries(self, n: u32) -> Self {
        self.with(|settings| settings.max_deliveries = Some(n))
    }

    /// Put messages that are given up into the queue of that name, a
    /// [`DeadLetters`](crate::DeadLetters): those that exceeded
    /// [`max_deliveries`](Self::max_deliveries), and those that are no value of the type (see
    /// [`GetError::Invalid`](crate::GetError::Invalid) and
    /// [`GetError::Decode`](crate::GetError::Decode)). The name is in the segment, so every process
    /// does the same; the queue of that name may be created later.
    ///
    /// The process that gives a message up leases it, puts it there with no lock held, and only
    /// then ends the lease: a kill in between leaves it in both queues, never in neither. If that
    /// queue is missing, full, closed, too small or of another kind, the message stays on lease and
    /// keeps its room. This process tries again at most every 0.1 s, in its gets and in
    /// [`recover`](crate::Queue::recover) (after one refusal it leaves the others for the next
    /// time), and when its last handle is dropped. After it has left or died, other processes try.
    /// So that queue needs twice the bytes of the largest message, and some more: a message that is
    /// too large stays until a larger queue has the name. Refusals are counted in
    /// [`Stats::dead_letters_refused`](crate::Stats::dead_letters_refused), and `shmq doctor` names
    /// the queue.
    ///
    /// ```
    /// # let name = format!("doc-dead-{}", std::process::id());
    /// use shmq::{DeadLetters, Queue, letters::Reason};
    ///
    /// let letters = DeadLetters::create(&name, 1 << 16)?;
    /// let queue = Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// let queue = queue.dead_letters(&name).create()?;
    /// queue.put(&7)?;
    /// queue.lease()?.give_back(); // the only delivery that it may have
    /// assert!(matches!(queue.try_get(), Err(shmq::GetError::Empty)));
    ///
    /// let letter = letters.get()?;
    /// assert_eq!((&letter.reason, letter.deliveries), (&Reason::TooManyDeliveries, 1));
    /// assert_eq!((letter.queue.as_str(), letter.value::<u64>()), (queue.name(), Some(7)));
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(self, name: impl AsRef<str>) -> Self {
        self.with(|settings| settings.dead_letters = Some(name.as_ref().to_owned()))
    }

    /// Bytes that objects may take which are larger than the ring can hold: of an `ObjectQueue`,
    /// where each of them goes into a file of its own beside the segment, and of a
    /// [`DeadLetters`](crate::DeadLetters). Not set: half of the file system. 0: such an object is
    /// refused as [`PutError::TooLarge`](crate::PutError::TooLarge). Other queues ignore it.
    ///
    /// The message keeps its place in the order, and every promise of the queue holds for it: it is
    /// delivered again if its consumer dies, its file goes when the message is finished, and the
    /// last process that leaves an unlinked queue removes what is left. Its file is made when it is
    /// put: a put that finds the bytes taken is [`PutError::Full`](crate::PutError::Full) or waits,
    /// as for room in the ring; one that finds no memory is
    /// [`PutError::NoSpace`](crate::PutError::NoSpace). Objects that fit the ring pay nothing for
    /// this.
    ///
    #[cfg_attr(feature = "object", doc = "```")]
    #[cfg_attr(not(feature = "object"), doc = "```ignore")]
    /// use shmq::{ObjectQueue, PutError};
    ///
    /// let builder = ObjectQueue::<Vec<u8>>::builder().capacity_bytes(1 << 16);
    /// let queue = builder.max_spilled_bytes(8 << 20).create()?;
    /// queue.put(&vec![7; 1 << 20])?; // 16 times the ring
    /// assert_eq!(queue.get()?, vec![7; 1 << 20]);
    /// assert!(matches!(queue.put(&vec![0; 9 << 20]), Err(PutError::TooLarge { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_spilled_bytes(self, bytes: u64) -> Self {
        self.with(|settings| settings.max_spilled_bytes = Some(bytes))
    }
}
