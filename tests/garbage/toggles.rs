//! A process toggles bits of each payload while others take messages by copy: what they get was
//! checked, and is what was checked. The toggled bits make values valid and invalid in turn. A copy
//! that is checked in one place and made in another returns an invalid one within a second (in an
//! optimised build: the compiler made two copies of one).

use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::unique_name;
use crate::trials::{path_of, times};
use shmq::inspect::Inspector;
use shmq::sync::Value;
use shmq::{Consumer, GetError, Queue};
use std::fs::File;
use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        values_by_copy_are_those_that_were_checked,
        large_values_by_copy_are_those_that_were_checked,
        #[cfg(feature = "object")]
        objects_are_decoded_from_a_copy,
        what_is_not_taken_comes_from_one_read
    ]
}

/// How long each verb is tried. It goes on until it has both taken and refused a message.
const TIME: Duration = Duration::from_millis(250);
/// Messages in a queue.
const PLACES: usize = 8;
/// How many of them are taken in a row: they fill the front of the ring again and again.
const RUN: usize = 4;

/// The segment header records whether a segment was replaced, and is no payload.
const HEADER_BYTES: usize = 0x200;

/// Of a slice ring.
#[cfg(feature = "object")]
const CELL_BYTES: usize = 16;

/// The offsets in the segment's file at which `fill(false)` leaves one byte and `fill(true)` the
/// other: bytes of payloads.
fn differences(name: &str, zero: u8, one: u8, fill: impl Fn(bool)) -> Vec<usize> {
    let image = |bits| {
        fill(bits);
        std::fs::read(path_of(name)).expect("the segment's file")
    };
    let (zeros, ones) = (image(false), image(true));
    (HEADER_BYTES..zeros.len().min(ones.len())).filter(|&at| zeros[at] == zero && ones[at] == one).collect()
}

/// Drops the queue and leaves its file, to be read and replaced.
fn keep_image<Q>(name: &str, queue: Q) {
    let file = std::fs::read(path_of(name)).expect("the segment's file");
    drop(queue);
    std::fs::write(path_of(name), file).expect("room for an image");
}

/// Runs `act` next to a process that toggles `bits` of those bytes of the file.
fn beside_toggles(name: &str, places: &[usize], bits: u8, act: impl FnOnce()) {
    assert!(!places.is_empty(), "no payload was found in the file");
    let file = File::options().read(true).write(true).open(path_of(name)).expect("the segment's file");
    let bytes = file.metadata().expect("its length").len() as usize;
    let toggling = fork("a process that toggles bits", || {
        // SAFETY: a new shared mapping of the file, at an address of the kernel's choice.
        let start = unsafe {
            let (read_write, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            libc::mmap(std::ptr::null_mut(), bytes, read_write, shared, file.as_raw_fd(), 0)
        };
        assert_ne!(start, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        loop {
            for &at in places {
                // SAFETY: the byte lies inside that mapping, which is never unmapped. Concurrent
                // accesses by other processes are what is tested.
                unsafe {
                    let byte = start.cast::<u8>().add(at);
                    byte.write_volatile(byte.read_volatile() ^ bits);
                }
            }
        }
    });
    act();
    toggling.kill();
}

/// Calls `run` for a while, and until it has recorded both a message taken and one refused. No bits
/// that it saw were invalid.
fn until_both(what: &str, mut run: impl FnMut(&mut Seen)) {
    let (mut seen, start) = (Seen::default(), Instant::now());
    while start.elapsed() < TIME * times() as u32 || seen.taken == 0 || seen.refused == 0 {
        run(&mut seen);
        assert_eq!(seen.invalid, 0, "{what} handed out invalid bits: {seen:?}");
        assert!(start.elapsed() < PATIENCE, "{what}: the bits do not change as they should: {seen:?}");
    }
    eprintln!("{what}: {seen:?}");
}

#[derive(Debug, Default)]
struct Seen {
    taken: u64,
    refused: u64,
    invalid: u64,
}

impl Seen {
    fn values<const N: usize>(&mut self, values: &[[bool; N]]) {
        self.taken += values.len() as u64;
        // SAFETY: the value has N bytes, all initialised, and any byte is a valid `u8`.
        let bytes_of = |value: &[bool; N]| unsafe { std::slice::from_raw_parts(value.as_ptr().cast::<u8>(), N) };
        self.invalid += values.iter().filter(|value| black_box(bytes_of(value)).iter().any(|&byte| byte > 1)).count() as u64;
    }

    fn failed(&mut self, error: GetError) {
        match error {
            GetError::Invalid | GetError::Decode { .. } => self.refused += 1,
            GetError::Empty => {}
            error => panic!("{error}"),
        }
    }
}

fn values_by_copy_are_those_that_were_checked() {
    beside_values::<1>();
    beside_values::<8>();
    beside_values::<63>();
    beside_values::<200>();
    beside_values::<3000>();
}

/// Values that are large enough not to be copied under a lock.
fn large_values_by_copy_are_those_that_were_checked() {
    beside_values::<6000>();
}

/// A way to take messages into a buffer. Returns how many it took.
type Verb<const N: usize> = (&'static str, fn(&Queue<[bool; N]>, &mut [[bool; N]]) -> Result<usize, GetError>);
type OwnedVerb<const N: usize> = (&'static str, fn(&Consumer<[bool; N]>, &mut [[bool; N]]) -> Result<usize, GetError>);

type Take<'a, const N: usize> = &'a dyn Fn(&mut [[bool; N]]) -> Result<usize, GetError>;

fn into<const N: usize>(buffer: &mut [[bool; N]], got: Result<[bool; N], GetError>) -> Result<usize, GetError> {
    buffer[0] = got?;
    Ok(1)
}

fn into_boxed<const N: usize>(buffer: &mut [[bool; N]], got: Result<Box<[bool; N]>, GetError>) -> Result<usize, GetError> {
    into(buffer, got.map(|value| *value))
}

fn beside_values<const N: usize>() {
    let name = unique_name("toggled");
    let payloads = differences(&name, 0, 1, |bits| {
        let queue = Queue::<[bool; N]>::create(&name, PLACES).expect("create");
        (0..PLACES).for_each(|_| queue.put(&[bits; N]).expect("put"));
        keep_image(&name, queue);
    });
    assert_eq!(payloads.len(), PLACES * N);
    // The last byte of each: what is copied last is checked last.
    let last: Vec<usize> = payloads.chunks(N).map(|message| message[N - 1]).collect();

    let verbs: [Verb<N>; 3] = [
        ("get", |queue, buffer| into(buffer, queue.try_get())),
        ("get_slice", |queue, buffer| queue.try_get_slice(buffer)),
        ("get_boxed", |queue, buffer| into_boxed(buffer, queue.try_get_boxed())),
    ];
    let owned_verbs: [OwnedVerb<N>; 3] = [
        ("Consumer::get", |consumer, buffer| into(buffer, consumer.try_get())),
        ("Consumer::get_slice", |consumer, buffer| consumer.try_get_slice(buffer)),
        ("Consumer::get_boxed", |consumer, buffer| into_boxed(buffer, consumer.try_get_boxed())),
    ];
    let queue = Queue::<[bool; N]>::create(&name, PLACES).expect("create");
    beside_toggles(&name, &last, 2, || {
        let mut buffer = [[false; N]; RUN];
        let fill = || assert_eq!(queue.put_slice(&[[false; N]; RUN]).expect("put"), RUN);
        let mut count = |seen: &mut Seen, take: Take<'_, N>| {
            fill();
            for _ in 0..RUN {
                match take(&mut buffer) {
                    Ok(taken) => seen.values(&buffer[..taken]),
                    Err(error) => seen.failed(error),
                }
            }
        };
        for (what, take) in verbs {
            until_both(&format!("{what} of {N} bytes"), |seen| count(seen, &|buffer| take(&queue, buffer)));
        }
        let consumer = queue.consumer().expect("consumer");
        for (what, take) in owned_verbs {
            until_both(&format!("{what} of {N} bytes"), |seen| count(seen, &|buffer| take(&consumer, buffer)));
        }
    });
}

#[cfg(feature = "object")]
fn objects_are_decoded_from_a_copy() {
    // A string of that length, and how much its encoding adds.
    beside_objects::<shmq::MessagePack>([(20, 1), (300, 3), (6000, 3)]);
    // This codec reads strings where they lie.
    beside_objects::<shmq::Postcard>([(20, 1), (300, 2), (6000, 2)]);
}

#[cfg(feature = "object")]
fn beside_objects<C: shmq::Codec>(lengths: [(usize, usize); 3]) {
    use shmq::ObjectQueue;

    for (length, added) in lengths {
        let name = unique_name("toggled-objects");
        // Records fill the ring exactly, so that their offsets are the same in each lap.
        let stride = CELL_BYTES * (1 + (length + added).div_ceil(CELL_BYTES));
        let create = || {
            let settings = ObjectQueue::<String, C>::builder().name(&name).capacity_bytes(PLACES * stride);
            settings.create().expect("create")
        };
        let put = |queue: &ObjectQueue<String, C>, letter: &str| queue.put(&letter.repeat(length)).expect("put");
        let places = differences(&name, b'a', b'b', |bits| {
            let queue = create();
            put(&queue, if bits { "b" } else { "a" });
            keep_image(&name, queue);
        });
        assert_eq!(places.len(), length);
        // The last byte of each text: a whole character, or the first byte of one.
        let last: Vec<usize> = (0..PLACES).map(|nth| places[length - 1] + nth * stride).collect();

        let queue = create();
        let run = |what: &str, take: &dyn Fn() -> Result<String, GetError>| {
            until_both(&format!("{what} of {length} bytes, {}", C::NAME), |seen| {
                (0..RUN).for_each(|_| put(&queue, "a"));
                for _ in 0..RUN {
                    match take() {
                        Ok(text) => {
                            seen.taken += 1;
                            seen.invalid += std::str::from_utf8(black_box(text.as_bytes())).is_err() as u64;
                        }
                        Err(error) => seen.failed(error),
                    }
                }
            });
        };
        beside_toggles(&name, &last, 0x80, || {
            run("ObjectQueue::get", &|| queue.try_get());
            run("ObjectQueue::lease", &|| queue.try_lease().map(|lease| lease.take()));
        });
    }
}

/// Payloads and lengths that change: a value read without taking the message was there once, and
/// nothing comes from elsewhere.
fn what_is_not_taken_comes_from_one_read() {
    const BYTES: usize = 200;
    let name = unique_name("inspected");
    let create = |byte: u8| {
        let queue = Queue::<[u8; BYTES]>::create(&name, PLACES).expect("create");
        (0..PLACES).for_each(|_| queue.put(&[byte; BYTES]).expect("put"));
        queue
    };
    let payloads = differences(&name, 1, 2, |bits| keep_image(&name, create(1 + bits as u8)));
    assert_eq!(payloads.len(), PLACES * BYTES);
    let queue = create(1);
    let inspector = Inspector::open(&name).expect("inspect");
    let inspect_for_a_while = || {
        let start = Instant::now();
        while start.elapsed() < TIME * times() as u32 {
            let seen = inspector.snapshot();
            assert!(seen.messages <= PLACES as u64 && seen.bytes <= (PLACES * BYTES) as u64, "{seen:?}");
            for message in inspector.peek(PLACES, usize::MAX) {
                assert_eq!((message.length, message.bytes.len()), (BYTES as u64, BYTES));
                let before = message.bytes.clone();
                assert!(before.iter().all(|&byte| byte == 1 || byte == 3), "{before:?}");
                std::thread::yield_now();
                assert_eq!(black_box(&message.bytes), &before);
            }
        }
    };
    beside_toggles(&name, &payloads, 2, inspect_for_a_while);
    // The highest byte of the length in each header, which lies before its payload.
    let lengths: Vec<usize> = payloads.chunks(BYTES).map(|message| message[0] - 8 + 3).collect();
    beside_toggles(&name, &lengths, 0x7f, inspect_for_a_while);
    drop(queue);

    let name = unique_name("toggled-value");
    let value = Value::create(&name, [1u64; 9]).expect("create");
    let words = differences(&name, 1, 7, |bits| {
        // Twice: a value has two copies.
        (0..2).for_each(|_| assert_eq!(value.set([if bits { 7 } else { 1 }; 9]).expect("set").len(), 9));
    });
    beside_toggles(&name, &words, 2, || {
        let start = Instant::now();
        while start.elapsed() < TIME * times() as u32 {
            let got = value.get().expect("get");
            let before = got;
            std::thread::yield_now();
            assert_eq!(black_box(&got), &before);
        }
    });
}
