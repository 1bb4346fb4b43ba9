//! Topics: published to a subject, and from a subject into a topic. As fast as the connection, and
//! nothing waits for it: what is missed is counted, on both sides.
//!
//! ```text
//!   topic --lossy subscriber--> number, publish ==> subject ==> gaps counted --> publish --> topic
//!           missed in between: numbers are left out            numbers that are missing
//! ```
//!
//! Invariants:
//! 1. Each message bears the number that it has among all that were published since the mirror
//!    started, those that it missed included, and the mirror's run. So a receiver knows exactly how
//!    many it did not get between two that it got, wherever they went.
//! 2. A number that is not above the last one of its run came late or twice, and is dropped: a
//!    topic goes forward.
//!
//! No JetStream is needed. What must arrive belongs into a queue ([`out`](crate::out)).

use crate::failure::Failure;
use crate::headers::Tag;
use crate::metrics::Counters;
use crate::queue::open_topic;
use crate::server::connect_plain;
use crate::settings::{MirrorSettings, ServerSettings};
use crate::stop::Stop;
use async_nats::{Client, HeaderMap, HeaderName, Message};
use futures_util::StreamExt;
use shmq::{DynSubscriber, DynTopic, GetError};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The number of a message in its run.
pub const NUMBER: HeaderName = HeaderName::from_static("Shmq-Number");
/// The run of the mirror that published it.
pub const RUN: HeaderName = HeaderName::from_static("Shmq-Run");

/// How long a wait may keep the loop from its other duties.
const SLICE: Duration = Duration::from_millis(50);

/// Publishes a topic, or feeds it, until it is asked to end.
///
/// # Errors
/// [`Failure`].
pub async fn run(settings: &MirrorSettings, server: &ServerSettings, counters: &Counters, stop: Stop) -> Result<(), Failure> {
    let topic = open_topic(&settings.topic)?;
    let named = format!("shmq-bridge mirror {}", settings.topic);
    let (client, _) = tokio::select! {
        connected = connect_plain(server, &named) => connected?,
        () = stop.wait() => return Ok(()),
    };
    tracing::info!(topic = settings.topic, subject = settings.subject, back = settings.back, "mirror: carrying");
    let mut progress = Progress { last: Instant::now(), carried: 0 };
    match settings.back {
        true => feed(settings, &topic, &client, counters, &stop, &mut progress).await,
        false => publish(settings, &topic, &client, counters, &stop, &mut progress).await,
    }
}

struct Progress {
    last: Instant,
    carried: u64,
}

impl Progress {
    fn show(&mut self, settings: &MirrorSettings, counters: &Counters) {
        let carried = counters.mirror_carried.load(Relaxed);
        if self.last.elapsed() >= Duration::from_secs(10) {
            self.last = Instant::now();
            if carried != self.carried {
                let missed = counters.mirror_missed.load(Relaxed);
                tracing::info!(topic = settings.topic, carried, missed, "mirror: progress");
                self.carried = carried;
            }
        }
    }
}

async fn publish(
    settings: &MirrorSettings,
    topic: &DynTopic,
    client: &Client,
    counters: &Counters,
    stop: &Stop,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let refused = |why: String| Failure::Queue { queue: settings.topic.clone(), why };
    // Lossy: publishers never wait for a connection.
    let subscriber: DynSubscriber = topic.subscribe_lossy().map_err(|error| refused(error.to_string()))?;
    let (tag, run) = (Tag::of(topic.layout()), client.new_inbox());
    let run = run.rsplit('.').next().unwrap_or_default().to_owned();
    let (mut has_warned, mut refused_here) = (false, 0);
    while !stop.is_set() {
        let message = match subscriber.next_timeout(SLICE) {
            Ok(message) => message,
            Err(error) if error.is_timeout() => {
                progress.show(settings, counters);
                continue;
            }
            // Counted by `missed`.
            Err(GetError::Lagged { .. }) => continue,
            Err(error) if error.is_closed() => break,
            Err(error) => return Err(refused(error.to_string())),
        };
        let number = subscriber.received() + subscriber.missed();
        counters.mirror_missed.store(subscriber.missed() + refused_here, Relaxed);
        let mut headers = HeaderMap::new();
        tag.write(&mut headers);
        headers.insert(NUMBER, number.to_string().as_str());
        headers.insert(RUN, run.as_str());
        // Without a connection the client takes a while of messages, and then none: meanwhile the
        // topic goes on, and what is overwritten there is missed.
        let bytes = bytes::Bytes::from(message);
        let published = loop {
            let publish = client.publish_with_headers(settings.subject.clone(), headers.clone(), bytes.clone());
            match timeout(SLICE, publish).await {
                Ok(published) => break published,
                Err(_) if stop.is_set() => return Ok(()),
                Err(_) => {}
            }
        };
        match published {
            Ok(()) => drop(counters.mirror_carried.fetch_add(1, Relaxed)),
            // Larger than the server takes. It has a number, so the other side counts it, too.
            Err(error) => {
                refused_here += 1;
                counters.mirror_missed.store(subscriber.missed() + refused_here, Relaxed);
                if !std::mem::replace(&mut has_warned, true) {
                    let bytes = bytes.len();
                    tracing::warn!(
                        topic = settings.topic,
                        bytes,
                        "mirror: a message cannot be published, and counts as missed: {error}"
                    );
                }
            }
        }
    }
    let _ = timeout(Duration::from_secs(2), client.flush()).await;
    Ok(())
}

/// The numbers of one run, as they come.
#[derive(Debug, Default)]
struct Numbers {
    run: String,
    last: u64,
}

/// What a number says.
#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    /// So many were missed before it.
    New(u64),
    /// It is late, or came twice (Invariant 2).
    Late,
}

impl Numbers {
    fn arrive(&mut self, run: &str, number: u64) -> Arrival {
        if self.run != run {
            // What was missed before the first one of a run is not known.
            *self = Numbers { run: run.to_owned(), last: number };
            return Arrival::New(0);
        }
        if number <= self.last {
            return Arrival::Late;
        }
        let missed = number - self.last - 1;
        self.last = number;
        Arrival::New(missed)
    }
}

async fn feed(
    settings: &MirrorSettings,
    topic: &DynTopic,
    client: &Client,
    counters: &Counters,
    stop: &Stop,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let refused = |why: String| Failure::Queue { queue: settings.topic.clone(), why };
    let mut messages = client.subscribe(settings.subject.clone()).await.map_err(|error| refused(error.to_string()))?;
    let (tag, mut numbers) = (Tag::of(topic.layout()), Numbers::default());
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            () = stop.wait() => return Ok(()),
            () = tokio::time::sleep(SLICE) => {
                progress.show(settings, counters);
                continue;
            }
        };
        let Some(Message { payload, headers, .. }) = message else { return Ok(()) };
        tag.check_message(headers.as_ref()).map_err(|why| Failure::Type { queue: settings.topic.clone(), why })?;
        if let Some(headers) = &headers {
            let number = headers.get(NUMBER).and_then(|number| number.as_str().parse().ok());
            if let (Some(run), Some(number)) = (headers.get(RUN), number) {
                match numbers.arrive(run.as_str(), number) {
                    Arrival::New(missed) => counters.mirror_missed.fetch_add(missed, Relaxed),
                    Arrival::Late => {
                        counters.mirror_late.fetch_add(1, Relaxed);
                        continue;
                    }
                };
            }
        }
        loop {
            match topic.publish_timeout(&payload, SLICE) {
                Ok(()) => break,
                Err(error) if error.is_timeout() && !stop.is_set() => {}
                Err(error) if error.is_timeout() => return Ok(()),
                Err(error) => return Err(refused(error.to_string())),
            }
        }
        counters.mirror_carried.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Numbers};

    #[test]
    fn numbers_that_are_missing_are_counted_and_late_ones_dropped() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.arrive("a", 5), Arrival::New(0));
        assert_eq!(numbers.arrive("a", 6), Arrival::New(0));
        assert_eq!(numbers.arrive("a", 10), Arrival::New(3));
        assert_eq!(numbers.arrive("a", 10), Arrival::Late);
        assert_eq!(numbers.arrive("a", 7), Arrival::Late);
        assert_eq!(numbers.arrive("b", 1), Arrival::New(0));
        assert_eq!(numbers.arrive("b", 3), Arrival::New(1));
    }
}
