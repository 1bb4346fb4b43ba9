//! Killed in operations on objects that are larger than their ring.

use crate::objects::{Before, Encoding, FIRST_HUGE, Object, RING_BYTES, sweep};
use crate::stepped::sweep::{Finding, Operation};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::process::{fork, send_signal};
use crate::support::{segment_exists, unique_name};
use shmq::{DeadLetters, GetError, ObjectQueue, PutError, QueueBuilder, WaitStrategy};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_a_spilled_put,
        killed_in_a_spilled_put_in_place,
        killed_in_a_spilled_put_that_fails,
        killed_in_a_spilled_get,
        killed_in_a_spilled_lease_and_release,
        killed_in_a_spilled_lease_and_give_back,
        killed_in_a_spilled_lease_ack,
        killed_in_spilling_endpoints,
        killed_in_a_put_behind_a_spilled_one_of_the_dead,
        killed_in_recovering_spilled_objects,
        killed_in_giving_up_a_spilled_object,
        killed_in_handing_over_a_spilled_object,
        killed_in_counting_files_anew,
        killed_in_leaving_an_unlinked_queue_of_spilled_objects,
        killed_in_leaving_a_queue_of_spilled_objects,
        killed_in_replacing_a_dead_queue_of_spilled_objects.leaves_temporaries(),
        killed_in_a_sweep_of_spilled_objects,
    ]
}

const CAPACITY: u64 = 4;
const PAGE: u64 = 4096;
const HUGE_BYTES: u64 = 18 * PAGE;
/// An object that a survivor puts before it takes any.
const MARK: u64 = 77;
const HUGE: u64 = FIRST_HUGE;

/// A queue of objects, and the files that there were before it.
struct World {
    before: Before,
    queue: ObjectQueue<Object>,
    /// Bytes of files that it is built for.
    bound: u64,
}

fn builder(name: &str, bound: u64) -> QueueBuilder<ObjectQueue<Object>> {
    let builder = ObjectQueue::builder().name(name).capacity(CAPACITY as usize).capacity_bytes(RING_BYTES);
    // A waiter that sleeps at once takes the same instructions each time.
    builder.max_participants(6).max_spilled_bytes(bound).wait_strategy(WaitStrategy::Block)
}

impl World {
    fn new(numbers: &[u64]) -> World {
        World::bounded(numbers, CAPACITY * PAGE)
    }

    /// For huge objects.
    fn large(numbers: &[u64]) -> World {
        World::bounded(numbers, CAPACITY * HUGE_BYTES)
    }

    fn bounded(numbers: &[u64], bound: u64) -> World {
        let before = Before::now();
        let queue = builder(&unique_name("spilled"), bound).create().unwrap();
        numbers.iter().for_each(|&number| put(&queue, number).unwrap());
        World { before, queue, bound }
    }
}

fn put(queue: &ObjectQueue<Object>, number: u64) -> Result<(), PutError> {
    queue.try_put(&Object::new(number))
}

fn drain(queue: &ObjectQueue<Object>, found: &mut Vec<u64>) {
    loop {
        match queue.try_get() {
            Ok(object) => found.push(object.number),
            Err(GetError::Empty) => return,
            Err(error) => panic!("{error:?}, {queue:?}"),
        }
    }
}

/// A child that dies in the middle of `act`.
fn die_in(queue: &ObjectQueue<Object>, act: impl FnOnce(&ObjectQueue<Object>)) {
    let child = fork("one who leaves a mess", || {
        act(queue);
        send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
    });
    assert!(child.killed_or_succeeded(), "it was killed");
}

/// Dies while it encodes a huge object into its file, under its claim.
fn die_in_put(queue: &ObjectQueue<Object>, number: u64) {
    die_in(queue, |queue| {
        let _ = queue.try_put(&Object { number, encoding: Encoding::Dies });
    });
}

/// Takes everything, including what the dead held, and checks that it is one of `stages`; then that
/// there is a file for each object that is left, and no other, and that the queue is whole.
fn check(world: &World, killed: Killed, turn: u64, stages: &[&[u64]]) -> Finding {
    let World { before, queue, bound } = world;
    let recoveries = queue.stats().recoveries;
    let mut found = Vec::new();
    let mut marked = false;
    let gets_first = turn % 3 == 1;
    match turn % 3 {
        0 => {}
        1 => drain(queue, &mut found),
        _ => match put(queue, MARK) {
            Ok(()) => marked = true,
            Err(PutError::Full) => {}
            Err(error) => panic!("{error:?}, {queue:?}"),
        },
    }
    let report = queue.recover();
    assert_eq!(report.sides_repaired, 2, "{report:?}, {queue:?}");
    let again = queue.recover();
    assert_eq!((again.dead_participants, again.redelivered, again.aborted), (0, 0, 0), "recovered already: {again:?}, {queue:?}");
    drain(queue, &mut found);
    if marked {
        assert_eq!(found.pop(), Some(MARK), "the newest comes last: {queue:?}");
    }
    let sorted = |numbers: &[u64]| {
        let mut numbers = numbers.to_vec();
        numbers.sort();
        numbers
    };
    // If objects are taken before the scan for dead processes, newer ones may overtake.
    let fits = |contents: &[u64]| found == contents || (gets_first && sorted(&found) == sorted(contents));
    let stage = stages.iter().position(|contents| fits(contents));
    let Some(stage) = stage else { panic!("turn {turn}: found {found:?} of {stages:?}, {killed:?}, {queue:?}") };
    assert!(!killed.done || stage == stages.len() - 1, "done, and found {found:?}, {queue:?}");
    expect_whole(queue, before, *bound);
    Finding { stage: Some(stage), repaired: queue.stats().recoveries != recoveries }
}

/// Is there no file, and room for as many as there should be?
fn expect_whole(queue: &ObjectQueue<Object>, before: &Before, bound: u64) {
    queue.recover();
    assert_eq!(before.objects_since(), [""; 0], "files of finished objects, {queue:?}");
    let (first, each) = if bound == CAPACITY * PAGE { (20, PAGE) } else { (HUGE + 20, HUGE_BYTES) };
    for lap in 0..2 {
        let numbers = (0..bound / each).map(|i| first + lap * CAPACITY + i);
        numbers
            .clone()
            .for_each(|number| put(queue, number).unwrap_or_else(|error| panic!("{number}: {error:?}, {:?}", queue.stats())));
        assert_eq!(before.objects_since().len() as u64, CAPACITY, "{queue:?}");
        assert!(matches!(put(queue, first + 99), Err(PutError::Full)), "{queue:?}");
        numbers.for_each(|number| assert_eq!(queue.try_get().unwrap().number, number));
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        assert_eq!((before.objects_since(), queue.stats().spilled_bytes), (Vec::new(), 0), "{queue:?}");
    }
    let left = before.since();
    assert!(left.len() <= 1, "an anchor at most: {left:?}");
}

/// Kills `body` everywhere, each time in a world of its own.
fn sweep_body(what: &'static str, world: &dyn Fn() -> World, body: impl Fn(&World, &dyn Fn()), stages: &[&[u64]]) {
    let check = |world: &World, killed: Killed, turn: u64| check(world, killed, turn, stages);
    let recovery = |world: &World, begin: &dyn Fn()| {
        begin();
        world.queue.recover();
    };
    let stride = if world().bound == CAPACITY * PAGE { STRIDE } else { LONG_STRIDE };
    Operation { what, world, body: &body, wake: None, recovery: Some(&recovery), check: &check }.sweep_every(stride);
}

/// These operations take tens of thousands of instructions, most of them of a system call's
/// arguments, of encoding, and of allocating; those of huge objects and letters ten times as many.
const STRIDE: usize = 7;
const LONG_STRIDE: usize = 53;

fn kill_in(what: &'static str, world: &dyn Fn() -> World, act: impl Fn(&ObjectQueue<Object>), stages: &[&[u64]]) {
    let body = |world: &World, begin: &dyn Fn()| {
        assert_eq!(world.queue.recover().dead_participants, 0);
        begin();
        act(&world.queue);
    };
    sweep_body(what, world, body, stages);
}

fn two() -> World {
    World::new(&[10, 11])
}

fn killed_in_a_spilled_put() {
    kill_in("spilled put", &two, |queue| put(queue, 12).unwrap(), &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_a_spilled_put_in_place() {
    let world = || World::large(&[HUGE]);
    kill_in("spilled put in place", &world, |queue| put(queue, HUGE + 1).unwrap(), &[&[HUGE], &[HUGE, HUGE + 1]]);
}

fn killed_in_a_spilled_put_that_fails() {
    let world = || World::large(&[HUGE, 3]);
    let act = |queue: &ObjectQueue<Object>| {
        let fails = Object { number: HUGE + 1, encoding: Encoding::Fails };
        assert!(matches!(queue.try_put(&fails), Err(PutError::Encode { .. })));
    };
    kill_in("spilled put that fails", &world, act, &[&[HUGE, 3]]);
}

fn killed_in_a_spilled_get() {
    kill_in("spilled get", &two, |queue| assert_eq!(queue.try_get().unwrap().number, 10), &[&[10, 11], &[11]]);
}

fn killed_in_a_spilled_lease_and_release() {
    kill_in("spilled lease, release", &two, |queue| queue.try_lease().unwrap().release(), &[&[10, 11], &[11]]);
}

fn killed_in_a_spilled_lease_and_give_back() {
    kill_in("spilled lease, give_back", &two, |queue| queue.try_lease().unwrap().give_back(), &[&[10, 11]]);
}

fn killed_in_a_spilled_lease_ack() {
    let act = |queue: &ObjectQueue<Object>| {
        drop(queue.try_lease_ack().unwrap());
        queue.try_lease_ack().unwrap().ack().unwrap();
    };
    kill_in("spilled lease_ack, drop, ack", &two, act, &[&[10, 11], &[11]]);
}

fn killed_in_spilling_endpoints() {
    let act = |queue: &ObjectQueue<Object>| {
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_put(&Object::new(12)).unwrap();
        assert_eq!(consumer.try_get().unwrap().number, 10);
        consumer.try_lease().unwrap().release();
    };
    kill_in("spilled, by endpoints", &two, act, &[&[10, 11], &[10, 11, 12], &[11, 12], &[12]]);
}

/// The ring is full of a dead process's claim: the put makes room of it, and uses its position again.
fn killed_in_a_put_behind_a_spilled_one_of_the_dead() {
    let world = || {
        let world = World::large(&[HUGE, 3, 4]);
        die_in_put(&world.queue, HUGE + 1);
        world
    };
    let body = |world: &World, begin: &dyn Fn()| {
        let _ = world.queue.stats();
        begin();
        put(&world.queue, HUGE + 2).unwrap();
    };
    sweep_body("spilled put over one of the dead", &world, body, &[&[HUGE, 3, 4], &[HUGE, 3, 4, HUGE + 2]]);
}

fn killed_in_recovering_spilled_objects() {
    let world = || {
        let world = World::large(&[HUGE, 3]);
        die_in(&world.queue, |queue| std::mem::forget(queue.try_lease().unwrap()));
        die_in_put(&world.queue, HUGE + 1);
        world
    };
    let body = |world: &World, begin: &dyn Fn()| {
        begin();
        world.queue.recover();
    };
    sweep_body("spilled, recover", &world, body, &[&[HUGE, 3]]);
}

fn killed_in_giving_up_a_spilled_object() {
    let world = || {
        let before = Before::now();
        let bound = CAPACITY * PAGE;
        let queue = builder(&unique_name("worn"), bound).max_deliveries(1).create().unwrap();
        [10, 11].into_iter().for_each(|number| put(&queue, number).unwrap());
        die_in(&queue, |queue| std::mem::forget((queue.try_lease().unwrap(), queue.try_lease().unwrap())));
        put(&queue, 12).unwrap();
        World { before, queue, bound }
    };
    let body = |world: &World, begin: &dyn Fn()| {
        begin();
        assert_eq!(world.queue.try_get().unwrap().number, 12);
    };
    sweep_body("giving up spilled objects, get", &world, body, &[&[12], &[]]);
}

/// A letter that is larger than the ring of the letters, too.
fn killed_in_handing_over_a_spilled_object() {
    struct Worn {
        world: World,
        letters: DeadLetters,
    }
    impl Drop for Worn {
        fn drop(&mut self) {
            let _ = DeadLetters::unlink(self.letters.name());
        }
    }
    let world = || {
        let before = Before::now();
        let letters = DeadLetters::create(unique_name("letters"), RING_BYTES).unwrap();
        let bound = CAPACITY * PAGE;
        let builder = builder(&unique_name("worn"), bound).max_deliveries(1).dead_letters(letters.name());
        let queue = builder.create().unwrap();
        [10, 11].into_iter().for_each(|number| put(&queue, number).unwrap());
        die_in(&queue, |queue| std::mem::forget(queue.try_lease().unwrap()));
        Worn { world: World { before, queue, bound }, letters }
    };
    let operation = Operation {
        what: "dead letters, spilled",
        world: &world,
        body: &|worn: &Worn, begin| {
            let _ = worn.world.queue.stats();
            begin();
            assert_eq!(worn.world.queue.try_get().unwrap().number, 11);
        },
        wake: None,
        recovery: None,
        check: &|worn: &Worn, killed, _| {
            let (queue, letters) = (&worn.world.queue, &worn.letters);
            let recoveries = queue.stats().recoveries;
            let mut found = Vec::new();
            queue.recover();
            drain(queue, &mut found);
            letters.recover();
            let there: Vec<_> = std::iter::from_fn(|| letters.try_get().ok()).collect();
            let number = |letter: &shmq::DeadLetter| letter.decode::<Object, shmq::MessagePack>().unwrap().number;
            let numbers: Vec<u64> = there.iter().map(number).collect();
            // It is in one of the queues, or in both. A get of the other is a lease: it is worn out
            // as well if the getter is killed.
            let (tens, elevens) = (numbers.iter().filter(|n| **n == 10).count(), numbers.iter().filter(|n| **n == 11).count());
            assert!((1..=2).contains(&tens) && elevens <= 1 && tens + elevens == numbers.len(), "{numbers:?}, {killed:?}");
            let is_got = found.is_empty() && (killed.done || elevens == 0);
            assert!(found == [11] || elevens == 1 || is_got, "{found:?}, letters {numbers:?}, {killed:?}");
            letters.recover();
            expect_whole_beside_letters(queue, &worn.world.before);
            Finding { stage: Some(usize::from(found.is_empty())), repaired: queue.stats().recoveries != recoveries }
        },
    };
    operation.sweep_every(LONG_STRIDE);
}

fn expect_whole_beside_letters(queue: &ObjectQueue<Object>, before: &Before) {
    queue.recover();
    assert_eq!(before.objects_since(), [""; 0], "{queue:?}");
    (0..CAPACITY).for_each(|i| put(queue, 20 + i).unwrap());
    (0..CAPACITY).for_each(|i| assert_eq!(queue.try_get().unwrap().number, 20 + i));
    assert_eq!(before.objects_since(), [""; 0], "{queue:?}");
}

/// The count of bytes is too high, since a process died behind its count: a put counts anew.
fn killed_in_counting_files_anew() {
    let world = || {
        let world = World::bounded(&[HUGE], 2 * HUGE_BYTES);
        die_in_put(&world.queue, HUGE + 1);
        world
    };
    let body = |world: &World, begin: &dyn Fn()| {
        begin();
        put(&world.queue, HUGE + 2).unwrap();
    };
    let check = |world: &World, killed: Killed, _: u64| {
        let World { before, queue, .. } = world;
        let mut found = Vec::new();
        queue.recover();
        drain(queue, &mut found);
        assert!(found == [HUGE] || found == [HUGE, HUGE + 2], "{found:?}, {killed:?}");
        assert_eq!(before.objects_since(), [""; 0], "{queue:?}");
        [HUGE + 3, HUGE + 4].into_iter().for_each(|number| put(queue, number).unwrap());
        assert!(matches!(put(queue, HUGE + 5), Err(PutError::Full)));
        Finding { stage: Some(found.len() - 1), repaired: false }
    };
    let what = "spilled put that counts anew";
    Operation { what, world: &world, body: &body, wake: None, recovery: None, check: &check }.sweep_every(LONG_STRIDE);
}

/// A name, and the files that there were before it. Nothing of it is left when this is dropped.
struct Name {
    before: Before,
    name: String,
}

impl Name {
    /// A queue with two objects that no process is attached to.
    fn of_a_dead_queue(persisted: bool) -> Name {
        let (before, name) = (Before::now(), unique_name("dead"));
        let child = fork("one who leaves a dead queue", || {
            let queue = builder(&name, CAPACITY * PAGE).create().unwrap();
            [10, 11].into_iter().for_each(|number| put(&queue, number).unwrap());
            if persisted {
                queue.persist();
            }
            send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
        });
        assert!(child.killed_or_succeeded(), "it was killed");
        Name { before, name }
    }

    fn open(&self) -> Option<ObjectQueue<Object>> {
        segment_exists(&self.name).then(|| ObjectQueue::open(&self.name).unwrap())
    }

    /// As long as the name leads there, the objects are there; at the end, no file is left.
    fn check(&self, killed: Killed, stages: &[&[u64]]) -> Finding {
        if !killed.done {
            // Of a queue that was replaced. Those of one that has its name stay.
            sweep();
        }
        let queue = self.open();
        let mut stage = stages.len();
        if let Some(queue) = &queue {
            queue.recover();
            let mut found = Vec::new();
            drain(queue, &mut found);
            stage = stages.iter().position(|contents| *contents == found).unwrap_or_else(|| panic!("{found:?}, {killed:?}"));
            queue.recover();
            assert_eq!(self.before.objects_since(), [""; 0], "{queue:?}");
            ObjectQueue::<Object>::unlink(&self.name).unwrap();
        }
        drop(queue);
        if !killed.done {
            sweep();
        }
        self.before.expect_none_left();
        Finding { stage: Some(stage), repaired: false }
    }
}

fn sweep_name(what: &'static str, persisted: bool, body: impl Fn(&str, &dyn Fn()), stages: &[&[u64]]) {
    let world = || Name::of_a_dead_queue(persisted);
    let check = |name: &Name, killed: Killed, _: u64| {
        for file in crate::support::shm_files(&format!(".shmq-{}-", killed.pid)) {
            std::fs::remove_file(format!("/dev/shm/{file}")).unwrap();
        }
        name.check(killed, stages)
    };
    let body = |name: &Name, begin: &dyn Fn()| body(&name.name, begin);
    Operation { what, world: &world, body: &body, wake: None, recovery: None, check: &check }.sweep_every(STRIDE);
}

fn killed_in_leaving_an_unlinked_queue_of_spilled_objects() {
    let body = |name: &str, begin: &dyn Fn()| {
        let queue = ObjectQueue::<Object>::open(name).unwrap();
        queue.recover();
        begin();
        ObjectQueue::<Object>::unlink(name).unwrap();
        drop(queue);
    };
    sweep_name("spilled, unlink, leave", true, body, &[&[10, 11]]);
}

fn killed_in_leaving_a_queue_of_spilled_objects() {
    let body = |name: &str, begin: &dyn Fn()| {
        let queue = ObjectQueue::<Object>::open(name).unwrap();
        queue.recover();
        begin();
        drop(queue);
    };
    sweep_name("spilled, leave", false, body, &[&[10, 11]]);
}

fn killed_in_replacing_a_dead_queue_of_spilled_objects() {
    let body = |name: &str, begin: &dyn Fn()| {
        begin();
        let queue = builder(name, CAPACITY * PAGE).create().unwrap();
        drop(queue);
    };
    sweep_name("create over spilled objects", false, body, &[&[10, 11], &[]]);
}

fn killed_in_a_sweep_of_spilled_objects() {
    let body = |name: &str, begin: &dyn Fn()| {
        let orphans = fork("one who leaves orphans", || {
            let queue = ObjectQueue::<Object>::open(name).unwrap();
            ObjectQueue::<Object>::unlink(name).unwrap();
            std::mem::forget(queue);
            send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
        });
        assert!(orphans.killed_or_succeeded());
        begin();
        sweep();
    };
    sweep_name("sweep of spilled objects", true, body, &[&[10, 11]]);
}
