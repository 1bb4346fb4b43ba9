//! Users of queues that are other processes: this binary again, as one "test" that plays a part
//! given by the environment.

use crate::command::{Running, wait_for};
use shmq::inspect::Inspector;
use shmq::{Queue, Topic};
use std::process::{Command, Stdio};

const PART: &str = "SHMQ_CLI_TEST_PART";
const QUEUE: &str = "SHMQ_CLI_TEST_QUEUE";

/// Starts a process that plays `part` on the queue.
pub fn start(part: &str, name: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "peers::play_a_part", "--nocapture"]).env(PART, part).env(QUEUE, name);
    Running::of(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts"))
}

#[test]
fn play_a_part() {
    // As an ordinary test it has no part.
    let Ok(part) = std::env::var(PART) else { return };
    let name = std::env::var(QUEUE).expect("a queue");
    crate::support::process::die_with(std::os::unix::process::parent_id());
    match part.as_str() {
        // Creates a queue of three messages that goes with it.
        "owner" => {
            let queue = Queue::<u64>::create(&name, 8).expect("created");
            queue.put_slice(&[1, 2, 3]).expect("room");
            sleep_for_ever()
        }
        // The same, and leaves it to a forked child that never calls.
        "daemon" => {
            let queue = Queue::<u64>::create(&name, 8).expect("created");
            queue.put_slice(&[1, 2, 3]).expect("room");
            let parent = std::process::id();
            // SAFETY: the child only makes system calls.
            if unsafe { libc::fork() } == 0 {
                crate::support::process::die_with(parent);
                sleep_for_ever()
            }
            drop(queue);
            sleep_for_ever()
        }
        // Holds a lock.
        "locker" => {
            let lock = shmq::sync::Lock::open(&name).expect("made");
            lock.acquire().expect("free");
            sleep_for_ever()
        }
        // Creates a queue of bytes with one message that goes with it.
        "bytes" => {
            let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(4096).create().expect("made");
            queue.put(b"one").expect("room");
            sleep_for_ever()
        }
        // A service that is shutting down: a queue of bytes, closed with two messages in it.
        "service" => {
            let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(4096).open_or_create().expect("made");
            queue.put(b"one").expect("room");
            queue.put(b"two").expect("room");
            queue.close();
            sleep_for_ever()
        }
        // Creates a queue of bytes, and closes it.
        "closer" => {
            let queue = Queue::<[u8]>::builder().name(&name).open_or_create().expect("made");
            queue.close();
            sleep_for_ever()
        }
        // Gets for ever.
        "consumer" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            while queue.get().is_ok() {}
        }
        // Takes one message by lease, and keeps it.
        "lessee" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            let lease = queue.lease().expect("a message");
            std::hint::black_box(&lease);
            sleep_for_ever()
        }
        // Takes two messages, which are done, and goes on reading them.
        "viewer" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            let views = [0; 2].map(|_| queue.lease().and_then(|lease| lease.into_view()).expect("a message"));
            std::hint::black_box(&views);
            sleep_for_ever()
        }
        // Takes all that there is room for by lease, and waits for one more.
        "collector" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            let leases: Vec<_> = (0..queue.capacity() + 1).map(|_| queue.lease().expect("a message")).collect();
            std::hint::black_box(&leases);
        }
        // Threads that each work on a lease, and one more than there is room for.
        "workers" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            std::thread::scope(|scope| {
                for _ in 0..=queue.capacity() {
                    scope.spawn(|| {
                        let lease = queue.lease().expect("a message");
                        std::hint::black_box(&lease);
                        sleep_for_ever()
                    });
                }
            });
        }
        // The same as "collector", by polling.
        "polling collector" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            let mut leases = Vec::new();
            loop {
                match queue.lease_timeout(std::time::Duration::from_millis(20)) {
                    Ok(lease) => leases.push(lease),
                    Err(shmq::GetError::Timeout) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        // Puts for ever.
        "producer" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            while queue.put(&7).is_ok() {}
        }
        // Waits in join.
        "joiner" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            queue.join().expect("it is done");
        }
        // Owns the put side.
        "endpoint" => {
            let queue = Queue::<u64>::open(&name).expect("there is one");
            let producer = queue.producer().expect("it is free");
            std::hint::black_box(&producer);
            sleep_for_ever()
        }
        // Subscribes to a topic, and reads nothing.
        "subscriber" => {
            let topic = Topic::<u64>::open(&name).expect("there is one");
            let subscriber = topic.subscribe().expect("room");
            std::hint::black_box(&subscriber);
            sleep_for_ever()
        }
        // Reads for ever.
        "reader" => {
            let subscriber = Topic::<u64>::open(&name).expect("there is one").subscribe().expect("room");
            while subscriber.next().is_ok() {}
        }
        // Reads one message in place, and keeps it open.
        "sampler" => {
            let mut subscriber = Topic::<u64>::open(&name).expect("there is one").subscribe().expect("room");
            let sample = subscriber.read().expect("a message");
            std::hint::black_box(&sample);
            sleep_for_ever()
        }
        // Publishes for ever, as the owner of the put side.
        "publisher" => {
            let topic = Topic::<u64>::open(&name).expect("there is one");
            let publisher = topic.publisher().expect("it is free");
            while publisher.publish(&7).is_ok() {}
        }
        // Has a message on loan, and neither commits nor drops it.
        "lender" => {
            let topic = Topic::<u64>::open(&name).expect("there is one");
            let loan = topic.loan().expect("room");
            std::hint::black_box(&loan);
            sleep_for_ever()
        }
        other => panic!("no part {other:?}"),
    }
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Starts it and waits until `seen`.
#[track_caller]
pub fn start_and_see(part: &str, name: &str, seen: impl Fn(&shmq::inspect::Snapshot, u32) -> bool) -> Running {
    let running = start(part, name);
    let pid = running.pid();
    wait_for(name, part, || Inspector::open(name).is_ok_and(|inspector| seen(&inspector.snapshot(), pid)));
    running
}
