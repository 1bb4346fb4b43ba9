//! What the tests themselves do at a server: making streams, publishing, reading counts.

use super::SOON;
use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, State, StorageType};
use async_nats::{Client, HeaderMap, jetstream};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A client of the test's own. Calls wait for their answers, with a bound.
pub struct Admin {
    runtime: Runtime,
    client: Client,
    jetstream: jetstream::Context,
}

/// A stream as the bridge makes it.
pub fn work_queue(name: &str) -> Config {
    Config {
        name: name.to_string(),
        subjects: vec![name.to_string()],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        ..Config::default()
    }
}

impl Admin {
    pub fn connect(url: &str) -> Admin {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let client = runtime.block_on(options.connect(url)).expect("a server that was just started");
        let jetstream = {
            let _inside = runtime.enter();
            jetstream::new(client.clone())
        };
        Admin { runtime, client, jetstream }
    }

    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for an answer.
    #[track_caller]
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(SOON, future).await }).expect("an answer of the server")
    }

    /// Makes a stream. A server that was just started may say no at first.
    #[track_caller]
    pub fn make(&self, config: Config) {
        let mut last = String::new();
        for _ in 0..100 {
            match self.wait(self.jetstream.create_stream(config.clone())) {
                Ok(_) => return,
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("stream {}: {last}", config.name)
    }

    pub fn delete(&self, stream: &str) {
        self.wait(self.jetstream.delete_stream(stream)).expect("a stream that is there");
    }

    /// Publishes these messages in order, and waits for each ack.
    pub fn publish(&self, subject: &str, messages: impl IntoIterator<Item = Vec<u8>>) {
        let pending = messages
            .into_iter()
            .map(|message| self.wait(self.jetstream.publish(subject.to_string(), message.into())).expect("a connection"));
        // The acks come while the next messages are sent.
        for ack in pending.collect::<Vec<_>>() {
            self.wait(async { ack.await }).expect("a stream that listens");
        }
    }

    /// Publishes one with headers.
    pub fn publish_with(&self, subject: &str, headers: HeaderMap, message: Vec<u8>) {
        let sent = self.wait(self.jetstream.publish_with_headers(subject.to_string(), headers, message.into()));
        self.wait(async { sent.expect("a connection").await }).expect("a stream that listens");
    }

    /// What the stream has.
    #[track_caller]
    pub fn state(&self, stream: &str) -> State {
        self.wait(self.jetstream.get_stream(stream)).expect("a stream that is there").cached_info().state.clone()
    }

    /// What the consumer says.
    pub fn consumer(&self, stream: &str, consumer: &str) -> Info {
        let stream = self.wait(self.jetstream.get_stream(stream)).expect("a stream that is there");
        self.wait(stream.consumer_info(consumer)).expect("a consumer that is there")
    }

    /// A message of a stream, by its sequence.
    pub fn message(&self, stream: &str, sequence: u64) -> async_nats::jetstream::message::StreamMessage {
        let stream = self.wait(self.jetstream.get_stream(stream)).expect("a stream that is there");
        self.wait(stream.get_raw_message(sequence)).expect("a message that is there")
    }
}
