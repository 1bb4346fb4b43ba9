//! Primitives and queues between processes: by fork, by a handle that was sent, and by lease.

use crate::cases;
use crate::support::harness::Case;
#[cfg(not(shmq_portable_sync))]
use crate::support::process::{fork, shared_word, wait_for_count};
use serde::{Deserialize, Serialize};
use shmq::{ObjectQueue, Postcard, Process, PutError};
use std::collections::BTreeMap;
#[cfg(not(shmq_portable_sync))]
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        objects_keep_the_order_of_each_of_many_writers,
        a_large_object_crosses_whole,
        a_queue_sent_through_a_queue_works_in_another_process,
        #[cfg(not(shmq_portable_sync))]
        a_leased_object_comes_back_when_its_holder_is_killed,
        #[cfg(not(shmq_portable_sync))]
        a_writer_killed_while_it_encodes_in_place_leaves_nothing,
    ]
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Line {
    writer: u32,
    number: u32,
    text: String,
}

fn objects_keep_the_order_of_each_of_many_writers() {
    let queue = ObjectQueue::<Line>::new(8).unwrap();
    let mut writers: Vec<Process> = (0..3)
        .map(|writer| {
            let queue = &queue;
            Process::spawn(move || {
                (0..200).try_for_each(|number| queue.put(&Line { writer, number, text: "x".repeat(number as usize) }))
            })
            .unwrap()
        })
        .collect();
    let mut next = BTreeMap::new();
    for _ in 0..600 {
        let line = queue.get().unwrap();
        let expected: &mut u32 = next.entry(line.writer).or_default();
        assert_eq!((line.number, line.text.len()), (*expected, *expected as usize));
        *expected += 1;
    }
    assert!(queue.is_empty());
    assert!(writers.iter_mut().all(|writer| writer.join().unwrap().success()));
}

fn a_large_object_crosses_whole() {
    let queue = ObjectQueue::<Vec<u32>, Postcard>::builder().capacity_bytes(16 << 20).create().unwrap();
    let writer = Process::spawn(|| queue.put(&(0..1_000_000).collect())).unwrap();
    assert!(queue.get().unwrap().into_iter().eq(0..1_000_000));
    assert!(writer.join().unwrap().success());
}

fn a_queue_sent_through_a_queue_works_in_another_process() {
    let requests = ObjectQueue::<(u64, ObjectQueue<String>)>::new(4).unwrap();
    let server = Process::spawn(|| {
        for request in &requests {
            let (number, answers) = request.unwrap();
            answers.put(&format!("{number} squared is {}", number * number))?;
        }
        Ok::<(), PutError>(())
    })
    .unwrap();
    let answers = ObjectQueue::new(4).unwrap();
    requests.put(&(12, answers.clone())).unwrap();
    assert_eq!(answers.get().unwrap(), "12 squared is 144");
    requests.close();
    assert!(server.join().unwrap().success());
}

#[cfg(not(shmq_portable_sync))]
fn a_leased_object_comes_back_when_its_holder_is_killed() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.put(&"job".to_string()).unwrap();
    queue.put(&"next job".to_string()).unwrap();
    let holds = shared_word();
    let holder = fork("the holder", || {
        let _job = queue.lease().unwrap();
        holds.store(1, SeqCst);
        loop {
            std::thread::park();
        }
    });
    wait_for_count("the holder to have it", holds, 1);
    assert_eq!(queue.len(), 1);
    holder.kill();
    let mut got: Vec<(String, u32)> = (0..2)
        .map(|_| {
            queue.recover();
            let job = queue.lease().unwrap();
            let deliveries = job.deliveries();
            (job.take(), deliveries)
        })
        .collect();
    got.sort();
    assert_eq!(got, [("job".to_string(), 2), ("next job".to_string(), 1)]);
}

#[cfg(not(shmq_portable_sync))]
fn a_writer_killed_while_it_encodes_in_place_leaves_nothing() {
    #[derive(Deserialize)]
    struct Deadly(Vec<u8>);
    impl Serialize for Deadly {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            use std::sync::atomic::AtomicU32;
            static PASSES: AtomicU32 = AtomicU32::new(0);
            if PASSES.fetch_add(1, SeqCst) == 1 {
                // SAFETY: kill takes two numbers; SIGKILL ends this process at once, in the middle
                // of its loan.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            }
            to.serialize_bytes(&self.0)
        }
    }
    let queue = ObjectQueue::<Deadly>::new(4).unwrap();
    let writer = fork("the writer", || drop(queue.put(&Deadly(vec![1; 100_000]))));
    assert!(writer.killed_or_succeeded(), "it was to die in the second pass");
    queue.recover();
    assert!(matches!(queue.try_get(), Err(shmq::GetError::Empty)));
    assert_eq!(queue.stats().aborted, 1);
}
