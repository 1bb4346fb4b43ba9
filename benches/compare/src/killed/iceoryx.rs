//! iceoryx2 with its event, for rounds in which a process is killed: any number of ends may have
//! been there before, and a sample that no subscriber got is sent again.
//!
//! Each round has files of its own: a node cleans up after all dead nodes that it finds, and must
//! not find those of other rounds.

use super::roles::Contender;
use crate::{flows::sum, forked::Host, rivals::until};
use iceoryx2::{
    node::{Node, NodeBuilder},
    port::{
        listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber,
        update_connections::UpdateConnections,
    },
    prelude::*,
    service::port_factory::{event::PortFactory as Event, publish_subscribe::PortFactory as PubSub},
};
use std::{cell::Cell, fs, os::unix::ffi::OsStrExt, path::PathBuf};

type Line = [u64; 8];
type Samples = PubSub<ipc::Service, Line, ()>;

pub struct Waking;

/// The files of a round.
pub struct Files {
    name: String,
}

pub struct Out {
    publisher: Publisher<ipc::Service, Line, ()>,
    notifier: Notifier<ipc::Service>,
    _node: Node<ipc::Service>,
}

pub struct In {
    subscriber: Subscriber<ipc::Service, Line, ()>,
    listener: Listener<ipc::Service>,
    /// The sum of a sample that came when the subscriber connected.
    early: Cell<Option<u64>>,
    _node: Node<ipc::Service>,
}

fn root(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("shmq_{name}_iceoryx2"))
}

fn prefix(name: &str) -> String {
    format!("shmq_{name}_")
}

impl Host for Files {
    fn unlink(&self) {
        let _never_made = fs::remove_dir_all(root(&self.name));
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().as_bytes().starts_with(prefix(&self.name).as_bytes()) {
                let _gone = fs::remove_file(entry.path());
            }
        }
    }

    fn state(&self) -> String {
        format!("iceoryx2 in {}", root(&self.name).display())
    }
}

fn node(name: &str) -> Node<ipc::Service> {
    set_log_level(LogLevel::Fatal);
    let mut config = Config::default();
    config.global.prefix = FileName::new(prefix(name).as_bytes()).expect("a file name");
    config.global.set_root_path(&Path::new(root(name).as_os_str().as_bytes()).expect("a path"));
    NodeBuilder::new().config(&config).signal_handling_mode(SignalHandlingMode::Disabled).create().expect("an iceoryx2 node")
}

fn samples(node: &Node<ipc::Service>) -> Samples {
    let name = ServiceName::new("samples").expect("a service name");
    let service = node.service_builder(&name).publish_subscribe::<Line>();
    let service = service.enable_safe_overflow(false).subscriber_max_buffer_size(64).history_size(0);
    service.max_publishers(4).max_subscribers(4).max_nodes(8).open_or_create().expect("a publish-subscribe service")
}

fn event(node: &Node<ipc::Service>) -> Event<ipc::Service> {
    let name = ServiceName::new("event").expect("a service name");
    node.service_builder(&name).event().max_nodes(8).open_or_create().expect("an event service")
}

impl Contender for Waking {
    type Host = Files;
    type Sender = Out;
    type Receiver = In;

    fn create(name: &str, _: usize) -> Files {
        Files { name: name.to_owned() }
    }

    fn sender(name: &str) -> Out {
        let node = node(name);
        let (samples, event) = (samples(&node), event(&node));
        let publisher = samples.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        let publisher = publisher.create().expect("a publisher");
        until("the subscriber's coming", || (samples.dynamic_config().number_of_subscribers() > 0).then_some(()));
        publisher.update_connections().expect("connect");
        until("the listener's coming", || (event.dynamic_config().number_of_listeners() > 0).then_some(()));
        Out { publisher, notifier: event.notifier_builder().create().expect("a notifier"), _node: node }
    }

    fn receiver(name: &str) -> In {
        let node = node(name);
        let (samples, event) = (samples(&node), event(&node));
        let subscriber = samples.subscriber_builder().create().expect("a subscriber");
        let listener = event.listener_builder().create().expect("a listener");
        until("the publisher's coming", || (samples.dynamic_config().number_of_publishers() > 0).then_some(()));
        let early = subscriber.receive().expect("connect").map(|sample| sum(&*sample));
        In { subscriber, listener, early: Cell::new(early), _node: node }
    }

    fn put(to: &Out, stamp: u64) {
        loop {
            let sample = to.publisher.loan_uninit().expect("loan a sample").write_payload([stamp; 8]);
            if sample.send().expect("send a sample") > 0 {
                break;
            }
            std::thread::yield_now();
        }
        to.notifier.notify().expect("notify");
    }

    fn take(from: &In, note: &mut dyn FnMut(u64, bool)) {
        if let Some(early) = from.early.take() {
            return note(early, false);
        }
        loop {
            if let Some(sample) = from.subscriber.receive().expect("receive") {
                return note(sum(&*sample), false);
            }
            from.listener.blocking_wait(|_| ()).expect("wait for an event");
        }
    }
}
