//! Events of slow paths: there is one for each, and none while a side of the queue is held.

#[path = "support/mod.rs"]
mod support;

#[cfg(feature = "object")]
#[path = "tracing/pools.rs"]
mod pools;

use shmq::sync;
use shmq::{GetError, Queue, Topic, WaitStrategy};
use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::harness::Lanes;
use support::process::{fork, shared_word};
use support::{unique_name, wait_until};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

fn own() -> Vec<support::harness::Case> {
    cases![
        each_slow_path_emits_an_event,
        each_slow_path_of_a_topic_emits_an_event,
        the_fast_path_is_silent,
        waiting_without_a_name_is_reported_once,
        what_was_replaced_is_reported
    ]
}

fn main() -> ExitCode {
    let mut all = own();
    #[cfg(feature = "object")]
    all.extend(pools::cases());
    support::harness::run(Lanes::Waits, &all)
}

/// Keeps events as text, and uses the queue from inside each of them: with a side held, that would
/// be Busy.
struct Listener {
    queue: Queue<u64>,
    heard: Arc<Mutex<Vec<String>>>,
    inside: AtomicBool,
    next_span: AtomicU64,
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "shmq"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.next_span.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if self.inside.swap(true, Relaxed) {
            return;
        }
        let mut words = Words(event.metadata().level().to_string());
        event.record(&mut words);
        self.heard.lock().expect("no thread panicked").push(words.0);
        for round in 0..2 {
            match self.queue.try_put(&99).map(|()| round) {
                Ok(_) | Err(shmq::PutError::Full) => {}
                Err(error) => panic!("the put side is held while {:?} is reported: {error}", self.heard),
            }
            assert!(self.queue.recover().sides_repaired == 2, "a side is held while {:?} is reported", self.heard);
        }
        self.inside.store(false, Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn listen(queue: &Queue<u64>, act: impl FnOnce()) -> Vec<String> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener =
        Listener { queue: queue.clone(), heard: heard.clone(), inside: AtomicBool::new(false), next_span: AtomicU64::new(0) };
    tracing::subscriber::with_default(listener, act);
    heard.lock().expect("no thread panicked").clone()
}

fn each_slow_path_emits_an_event() {
    let queue = Queue::<u64>::create(unique_name("reported"), 100).expect("created");
    queue.put(&1).expect("room");
    let leased = shared_word();
    let lessee = fork("lessee", || {
        let lease = queue.lease().expect("a message");
        leased.store(1, Release);
        loop {
            std::hint::black_box(&lease);
            std::thread::park();
        }
    });
    wait_until("the lease", || leased.load(Acquire) == 1, || "none".to_owned());
    lessee.kill();
    let name = queue.name().to_owned();
    let heard = listen(&queue, || {
        assert_eq!(queue.recover().redelivered, 1);
        assert_eq!(queue.get().expect("it came back"), 1);
    });
    let expected = [
        format!("WARN message=recovered after a death queue=\"{name}\" repairs=1 came_back=1 aborted=0"),
        format!("INFO message=redelivered queue=\"{name}\" messages=1"),
    ];
    assert_eq!(heard, expected);
    let empty = Queue::<u64>::builder().name(unique_name("blocked")).capacity(100).wait_strategy(WaitStrategy::Block).create();
    let empty = empty.expect("created");
    let other = Queue::<u64>::new(100).expect("created");
    let mut heard = Vec::new();
    // A call is blocked if it sleeps: not if its time was up before it slept, as happens on a
    // loaded machine.
    let sleeps = || {
        heard = listen(&other, || {
            assert!(matches!(empty.get_timeout(Duration::from_millis(20)), Err(GetError::Timeout)));
        });
        !heard.is_empty()
    };
    wait_until("a get that sleeps", sleeps, || "none".to_owned());
    assert_eq!(heard, [format!("DEBUG message=blocked queue=\"{}\" verb=\"get\"", empty.name())]);
}

fn each_slow_path_of_a_topic_emits_an_event() {
    let other = Queue::<u64>::new(100).expect("created");
    let topic = Topic::<u64>::builder().name(unique_name("reported-topic")).capacity(1).wait_strategy(WaitStrategy::Block);
    let topic = topic.create().expect("created");
    let (name, subscribed) = (topic.name().to_owned(), shared_word());
    let reader = fork("reader", || {
        let subscriber = topic.subscribe().expect("room");
        subscribed.store(1, Release);
        loop {
            std::hint::black_box(&subscriber);
            std::thread::park();
        }
    });
    wait_until("the subscriber", || subscribed.load(Acquire) == 1, || "none".to_owned());
    topic.publish(&1).expect("room");
    // A call is blocked if it sleeps.
    let mut heard = Vec::new();
    let sleeps = || {
        heard = listen(&other, || assert!(topic.publish_timeout(&2, Duration::from_millis(20)).unwrap_err().is_timeout()));
        !heard.is_empty()
    };
    wait_until("a publish that sleeps", sleeps, || "none".to_owned());
    assert_eq!(heard, [format!("DEBUG message=blocked topic=\"{name}\" verb=\"publish\"")]);
    reader.kill();
    // The publisher frees it by itself.
    let heard = listen(&other, || topic.publish(&2).expect("the subscriber is dead"));
    let recovered = format!("WARN message=recovered after a death topic=\"{name}\" repairs=0 aborted=0 subscribers=1");
    assert!(heard.iter().filter(|words| **words == recovered).count() == 1 && heard.len() <= 2, "{heard:?}");
    let slow = topic.subscribe().expect("room");
    let id = slow.id();
    let heard = listen(&other, || {
        topic.publish(&3).expect("room");
        assert!(topic.evict(id).expect("attached"));
        assert!(matches!(slow.next(), Err(GetError::Evicted)));
        assert_eq!(slow.next().expect("it is left"), 3);
    });
    assert_eq!(heard, [format!("WARN message=evicted topic=\"{name}\" subscriber={id} lag=1")]);
}

fn waiting_without_a_name_is_reported_once() {
    const LOST: &str =
        "lost its name: the file was removed (systemd's RemoveIPC?), and a process that opens the name now gets another segment";
    const UNLINKED: &str = "unlinked: no process can open this segment any more";
    let other = Queue::<u64>::new(100).expect("created");
    let removed = |name: &str| std::fs::remove_file(format!("/dev/shm/shmq.{name}")).expect("it was there");
    let unlinked = |name: &str| Queue::<u64>::unlink(name).expect("it was there");
    for (take_away, expected) in
        [(&removed as &dyn Fn(&str), format!("WARN message={LOST}")), (&unlinked, format!("INFO message={UNLINKED}"))]
    {
        let queue = Queue::<u64>::create(unique_name("nameless"), 4).expect("created");
        let event = sync::Event::create(unique_name("nameless-event")).expect("created");
        for name in [queue.name(), event.name()] {
            let attached = |wait: &dyn Fn()| {
                let mut heard = Vec::new();
                // A slice of a wait has to pass, however long the machine takes for it.
                let hears = || {
                    heard.extend(listen(&other, wait));
                    heard.iter().any(|words| !words.contains("message=blocked"))
                };
                wait_until("an event", hears, || "none".to_owned());
                heard.extend(listen(&other, wait));
                heard.retain(|words| !words.contains("message=blocked"));
                heard
            };
            take_away(name);
            let wait = || {
                if name == queue.name() {
                    assert!(matches!(queue.get_timeout(Duration::from_millis(250)), Err(GetError::Timeout)));
                } else {
                    assert!(event.wait_timeout(Duration::from_millis(250)).is_err());
                }
            };
            assert_eq!(attached(&wait), [format!("{expected} queue=\"{name}\"")]);
        }
    }
}

fn what_was_replaced_is_reported() {
    let other = Queue::<u64>::new(100).expect("created");
    let life = |name: &str, close: bool| {
        fork("an earlier life", || {
            let queue = Queue::<u64>::open_or_create(name, 8).expect("made anew");
            queue.put_slice(&[1, 2, 3]).expect("room");
            if close {
                queue.close();
                assert_eq!(queue.iter().count(), 3);
            }
            std::mem::forget(queue);
        })
        .expect_success();
    };
    let name = unique_name("reported-replaced");
    let expected = |why: &str, messages: &str, level: &str| {
        [format!("{level} message=replaced a dead segment queue=\"{name}\" why=\"{why}\"{messages}")]
    };
    life(&name, true);
    let heard = listen(&other, || drop(Queue::<u64>::open_or_create(&name, 8)));
    assert_eq!(heard, expected("closed and drained", " messages=0", "INFO"));
    life(&name, false);
    let heard = listen(&other, || drop(Queue::<u32>::open_or_create(&name, 8)));
    assert_eq!(heard, expected("of another type", " messages=3", "WARN"));
    life(&name, false);
    let heard = listen(&other, || drop(Queue::<u64>::create(&name, 8)));
    assert_eq!(heard, expected("created anew", " messages=3", "WARN"));
    life(&name, false);
    // Opened, with its messages: nothing was replaced.
    assert_eq!(listen(&other, || assert_eq!(Queue::<u64>::open_or_create(&name, 8).expect("opened").len(), 3)), [""; 0]);
    fork("an earlier life of an event", || std::mem::forget(sync::Event::open_or_create(&name).expect("made"))).expect_success();
    let heard = listen(&other, || drop(sync::Event::open_or_create(&name)));
    assert_eq!(heard, expected("without living users", " messages=0", "INFO"));
}

fn the_fast_path_is_silent() {
    let queue = Queue::<u64>::create(unique_name("silent"), 10).expect("created");
    let heard = listen(&queue, || {
        for i in 0..1000 {
            queue.put(&i).expect("room");
            assert_eq!(queue.get().expect("a message"), i);
            queue.lease_timeout(Duration::ZERO).expect_err("it is empty");
        }
    });
    assert!(heard.is_empty(), "{heard:?}");
}
