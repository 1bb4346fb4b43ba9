//! iceoryx2, publish-subscribe without overflow: the publisher waits for room, samples are written
//! and read in place.
//!
//! Polled, as in its own benchmarks; or woken by its event, for the blocking groups. A subscriber
//! connects at its first `receive()`, and what exceeds its buffer before that is dropped: so both
//! sides wait for each other, and the subscriber receives once, before anything is measured. Every
//! subscriber of a publish-subscribe service gets every sample: one to one where a message is to go
//! to one receiver, one to several in the groups of broadcasts.

use super::until;
use crate::{
    first_message::First,
    flows::{Transport, capacity, sum},
};
use iceoryx2::{
    node::{Node, NodeBuilder},
    port::{
        listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber,
        update_connections::UpdateConnections,
    },
    prelude::*,
    sample::Sample,
    service::port_factory::publish_subscribe::PortFactory as PubSub,
};
use std::{fs, hint::spin_loop, ops::Range, os::unix::ffi::OsStrExt, path::PathBuf, sync::OnceLock, thread};

type Payload<const W: usize> = [u64; W];

/// Polls before a poller yields, where each process has a core and where several share one.
const POLLS: u32 = 10_000;
const POLLS_OF_SEVERAL: u32 = 64;

/// What all files of this run begin with: of this process and, after the fork, of its workers.
fn prefix() -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| format!("shmq_compare_{}_", std::process::id()))
}

fn root() -> PathBuf {
    std::env::temp_dir().join(format!("{}iceoryx2", prefix()))
}

/// The defaults, with files of our own, so that they can be removed.
fn config() -> Config {
    let mut config = Config::default();
    config.global.prefix = FileName::new(prefix().as_bytes()).expect("a file name");
    let root = root();
    config.global.set_root_path(&Path::new(root.as_os_str().as_bytes()).expect("a path"));
    config
}

/// Before the fork: settles the names.
pub fn prepare() {
    prefix();
}

/// After the run: iceoryx2 keeps a segment and a directory for others to come.
pub fn clean() {
    // Gone, or never made.
    let _ = fs::remove_dir_all(root());
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(prefix().as_bytes()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Without its warnings on stderr: it reports each configuration file that it does not find.
fn node() -> Node<ipc::Service> {
    set_log_level(LogLevel::Fatal);
    NodeBuilder::new().config(&config()).signal_handling_mode(SignalHandlingMode::Disabled).create().expect("an iceoryx2 node")
}

fn service<const W: usize>(
    node: &Node<ipc::Service>,
    name: &str,
    capacity: usize,
    subscribers: usize,
) -> PubSub<ipc::Service, Payload<W>, ()> {
    let name = ServiceName::new(&format!("shmq-compare/{name}")).expect("a service name");
    let service = node.service_builder(&name).publish_subscribe::<Payload<W>>();
    let service = service.enable_safe_overflow(false).subscriber_max_buffer_size(capacity).history_size(0);
    service.max_publishers(1).max_subscribers(subscribers).open_or_create().expect("a publish-subscribe service")
}

pub struct Out<const W: usize> {
    publisher: Publisher<ipc::Service, Payload<W>, ()>,
    subscribers: usize,
    notifier: Option<Notifier<ipc::Service>>,
    _node: Node<ipc::Service>,
}

pub struct In<const W: usize> {
    subscriber: Subscriber<ipc::Service, Payload<W>, ()>,
    listener: Option<Listener<ipc::Service>>,
    /// Before it yields.
    polls: u32,
    _node: Node<ipc::Service>,
}

impl<const W: usize> Out<W> {
    fn send(&self, stamp: u64) {
        let mut sample = self.publisher.loan_uninit().expect("loan a sample");
        // SAFETY: a pointer to W uninitialised words, all of which are written before the sample is
        // called initialised.
        let sample = unsafe {
            let words = sample.payload_mut().as_mut_ptr().cast::<u64>();
            std::slice::from_raw_parts_mut(words, W).fill(stamp);
            sample.assume_init()
        };
        assert_eq!(sample.send().expect("send a sample"), self.subscribers, "subscribers that got the sample");
        if let Some(notifier) = &self.notifier {
            notifier.notify().expect("notify");
        }
    }
}

impl<const W: usize> In<W> {
    fn receive(&self) -> Sample<ipc::Service, Payload<W>, ()> {
        for poll in 1.. {
            if let Some(sample) = self.subscriber.receive().expect("receive") {
                return sample;
            }
            match &self.listener {
                Some(listener) => {
                    listener.blocking_wait(|_| ()).expect("wait for an event");
                }
                None if poll % self.polls == 0 => thread::yield_now(),
                None => spin_loop(),
            }
        }
        unreachable!("an endless range")
    }
}

fn event(node: &Node<ipc::Service>, name: &str) -> iceoryx2::service::port_factory::event::PortFactory<ipc::Service> {
    let name = ServiceName::new(&format!("shmq-compare/{name}/event")).expect("a service name");
    node.service_builder(&name).event().open_or_create().expect("an event service")
}

fn sender<const W: usize>(name: &str, blocking: bool, subscribers: usize) -> Out<W> {
    let node = node();
    let service = service::<W>(&node, name, capacity(W), subscribers);
    let builder = service.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
    let publisher = builder.create().expect("a publisher");
    until("the subscribers' coming", || (service.dynamic_config().number_of_subscribers() == subscribers).then_some(()));
    publisher.update_connections().expect("connect");
    let notifier = blocking.then(|| {
        let event = event(&node, name);
        until("the listeners' coming", || (event.dynamic_config().number_of_listeners() == subscribers).then_some(()));
        event.notifier_builder().create().expect("a notifier")
    });
    Out { publisher, subscribers, notifier, _node: node }
}

fn receiver<const W: usize>(name: &str, blocking: bool, subscribers: usize) -> In<W> {
    let node = node();
    let service = service::<W>(&node, name, capacity(W), subscribers);
    let subscriber = service.subscriber_builder().create().expect("a subscriber");
    let listener = blocking.then(|| event(&node, name).listener_builder().create().expect("a listener"));
    until("the publisher's coming", || (service.dynamic_config().number_of_publishers() == 1).then_some(()));
    assert!(subscriber.receive().expect("connect").is_none());
    let polls = if subscribers == 1 { POLLS } else { POLLS_OF_SEVERAL };
    In { subscriber, listener, polls, _node: node }
}

/// Its event is used where `BLOCKING`.
pub struct Iceoryx<const W: usize, const BLOCKING: bool, const SUBSCRIBERS: usize = 1>;

impl<const W: usize, const BLOCKING: bool, const SUBSCRIBERS: usize> Transport for Iceoryx<W, BLOCKING, SUBSCRIBERS> {
    const WORDS: usize = W;
    type Host = ();
    type Sender = Out<W>;
    type Receiver = In<W>;

    fn create(_: &str, _: usize) {}

    fn sender(name: &str) -> Out<W> {
        sender(name, BLOCKING, SUBSCRIBERS)
    }

    fn receiver(name: &str) -> In<W> {
        receiver(name, BLOCKING, SUBSCRIBERS)
    }

    fn send(sender: &Out<W>, stamps: Range<u64>) {
        stamps.for_each(|stamp| sender.send(stamp));
    }

    fn receive(receiver: &In<W>, count: u64) -> u64 {
        (0..count).fold(0, |total, _| total.wrapping_add(sum(&*receiver.receive())))
    }
}

/// From nothing to the first sample, in one process: with one node, or with a second one that opens
/// the service by its name.
pub struct FirstSample<const BY_NAME: bool>;

/// What must be dropped afterwards.
pub struct FirstPorts {
    _publisher: Publisher<ipc::Service, Payload<8>, ()>,
    _subscriber: Subscriber<ipc::Service, Payload<8>, ()>,
    _nodes: (Node<ipc::Service>, Option<Node<ipc::Service>>),
}

impl<const BY_NAME: bool> First for FirstSample<BY_NAME> {
    type Made = FirstPorts;

    fn make(name: &str) -> FirstPorts {
        let first = node();
        let made = service::<8>(&first, name, 64, 1);
        let second = BY_NAME.then(node);
        let opened = second.as_ref().map(|node| service::<8>(node, name, 64, 1));
        let publisher = made.publisher_builder().create().expect("a publisher");
        let subscriber = opened.as_ref().unwrap_or(&made).subscriber_builder().create().expect("a subscriber");
        let sample = publisher.loan_uninit().expect("loan a sample").write_payload([7; 8]);
        assert_eq!(sample.send().expect("send a sample"), 1);
        let sample = subscriber.receive().expect("receive").expect("a sample");
        assert_eq!(sum(&*sample), 56);
        drop(sample);
        FirstPorts { _publisher: publisher, _subscriber: subscriber, _nodes: (first, second) }
    }
}
