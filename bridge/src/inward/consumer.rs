//! The stream and its durable consumer, which the bridges of one queue share: made, or found to be
//! what it must be.

use crate::failure::Failure;
use crate::headers::Tag;
use crate::server::{Needs, Server, differences, matches};
use crate::settings::{AckOn, InSettings};
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{self, AckPolicy, PullConsumer};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{self, ConsumerErrorKind, RetentionPolicy, Stream};
use shmq::DynQueue;
use std::time::{Duration, Instant};

/// The stream, which must lose nothing, and have messages of the queue's type.
///
/// # Errors
/// [`Failure::NoStream`], [`Failure::Stream`], [`Failure::Type`].
pub async fn stream(server: &Server, settings: &InSettings, queue: &DynQueue) -> Result<Stream, Failure> {
    let stream = answered(server, || async {
        server.jetstream.get_stream(&settings.stream).await.map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code().0 == 10059 => {
                NotHad::For(Failure::NoStream { stream: settings.stream.clone() })
            }
            GetStreamErrorKind::JetStream(error) if error.code() == STARTING => NotHad::Away(error.to_string()),
            GetStreamErrorKind::JetStream(_) => NotHad::For(refused(settings, error.to_string())),
            _ => NotHad::Away(error.to_string()),
        })
    })
    .await?;
    let config = &stream.cached_info().config;
    check(config, settings)?;
    if let Some(layout) = config.metadata.get("shmq-type") {
        let theirs = Tag::from_parts(layout.as_str(), config.metadata.get("shmq-schema").cloned());
        let differ = |why| Failure::Type { queue: settings.queue.clone(), why };
        Tag::of(queue.layout()).check_tag(&theirs).map_err(differ)?;
    }
    Ok(stream)
}

/// Can it be used? Its configuration may change meanwhile.
///
/// # Errors
/// [`Failure::Stream`].
pub fn check(config: &stream::Config, settings: &InSettings) -> Result<(), Failure> {
    let mut found = differences(config, &Needs { subject: None, retention: None, message_bytes: 0 });
    let has_letters = settings.ack_on == AckOn::Done || settings.dead_letters.is_some();
    let letters = settings.dead_letters();
    if has_letters && config.subjects.iter().any(|pattern| matches(pattern, &letters)) {
        found.push(format!(
            "it takes the subject of the dead letters, \"{letters}\", itself, so they would come again: name another one with --dead-letters"
        ));
    }
    if found.is_empty() { Ok(()) } else { Err(refused(settings, found.join("; "))) }
}

/// When a stream was made: nanoseconds since 1970. One that is made anew under its name has another
/// time.
pub fn made(stream: &Stream) -> u64 {
    stream.cached_info().created.unix_timestamp_nanos() as u64
}

/// Why something was not had of the server.
enum NotHad {
    /// The server says no.
    For(Failure),
    /// It is away, starting, or slow: ask again.
    Away(String),
}

/// How long a start asks a server that does not answer, and how often.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);

/// JetStream's code while it is not available: after a start, or without a leader.
const STARTING: usize = 503;

/// Asks again while the server does not answer.
async fn answered<T, F: Future<Output = Result<T, NotHad>>>(server: &Server, ask: impl Fn() -> F) -> Result<T, Failure> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(NotHad::For(failure)) => return Err(failure),
            Err(NotHad::Away(why)) if Instant::now() >= deadline => {
                return Err(Failure::Unreachable { server: server.address.clone(), why });
            }
            Err(NotHad::Away(why)) => {
                tracing::debug!(why, "in: asking again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The same of a consumer.
pub fn created(info: &consumer::Info) -> u64 {
    info.created.unix_timestamp_nanos() as u64
}

/// The consumer, if there is one.
///
/// # Errors
/// [`Failure::Stream`] if it is not what it must be.
pub async fn find(server: &Server, stream: &Stream, settings: &InSettings) -> Result<Option<PullConsumer>, Failure> {
    let name = settings.consumer();
    let name = name.as_str();
    answered(server, || async move {
        let info = match stream.consumer_info(name).await {
            Ok(info) => info,
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(match error.kind() {
                    ConsumerInfoErrorKind::JetStream(error) if error.code() == STARTING => NotHad::Away(error.to_string()),
                    ConsumerInfoErrorKind::JetStream(_) | ConsumerInfoErrorKind::InvalidName => {
                        NotHad::For(refused(settings, format!("the consumer \"{name}\": {error}")))
                    }
                    ConsumerInfoErrorKind::StreamNotFound => NotHad::For(Failure::NoStream { stream: settings.stream.clone() }),
                    _ => NotHad::Away(error.to_string()),
                });
            }
        };
        let found = unfit(&info.config, settings);
        if !found.is_empty() {
            return Err(NotHad::For(refuse(settings, &found)));
        }
        // It was there just now: what fails is the connection.
        stream.get_consumer(name).await.map(Some).map_err(|error| NotHad::Away(error.to_string()))
    })
    .await
}

/// Makes it. One that was made just now, by an answer that was lost, is the same.
///
/// # Errors
/// [`Failure::Stream`].
pub async fn make(server: &Server, stream: &Stream, settings: &InSettings) -> Result<PullConsumer, Failure> {
    let name = settings.consumer();
    let name = name.as_str();
    answered(server, || async move {
        let made = stream.create_consumer(config(settings, name)).await;
        made.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(error) if error.code() == STARTING => NotHad::Away(error.to_string()),
            ConsumerErrorKind::JetStream(_) | ConsumerErrorKind::InvalidConsumerType | ConsumerErrorKind::InvalidName => {
                NotHad::For(refused(settings, format!("the consumer \"{name}\" cannot be made: {error}")))
            }
            _ => NotHad::Away(error.to_string()),
        })
    })
    .await
}

/// Is it the one that the journal was written with (0: none)? A new one of a stream that keeps its
/// messages begins at the first of them: long forgotten ones, too.
///
/// # Errors
/// [`Failure::Identity`].
pub fn check_created(settings: &InSettings, stream: &Stream, created: u64, known: u64, highest: u64) -> Result<(), Failure> {
    if known == 0 || created == known || stream.cached_info().config.retention == RetentionPolicy::WorkQueue {
        return Ok(());
    }
    Err(super::identity(
        settings,
        format!(
            "its consumer \"{}\" was deleted since the journal was written, and the stream keeps what was acked: all of it would come \
             again. To go on behind what was put, make a consumer that begins at sequence {} (--consumer names it), and start once \
             with --adopt; with --adopt alone, all comes again",
            settings.consumer(),
            highest + 1
        ),
    ))
}

fn config(settings: &InSettings, name: &str) -> Config {
    Config {
        durable_name: Some(name.to_owned()),
        description: Some(format!("shmq-bridge in, queue {}", settings.queue)),
        ack_policy: AckPolicy::Explicit,
        ack_wait: settings.ack_wait.get(),
        // Each delivery that ends with a bridge's death counts.
        max_deliver: -1,
        max_ack_pending: settings.max_ack_pending as i64,
        filter_subject: settings.subject.clone().unwrap_or_default(),
        ..Config::default()
    }
}

/// What of a consumer would lose messages, or ack those that were not put.
pub fn unfit(config: &consumer::Config, settings: &InSettings) -> Vec<String> {
    let mut found = Vec::new();
    let mut refuse = |is: bool, why: &str| {
        if is {
            found.push(why.to_owned());
        }
    };
    refuse(config.ack_policy != AckPolicy::Explicit, "does not ask for an ack of each message");
    refuse(config.max_deliver > 0, "gives messages up after some deliveries, which deaths of bridges would use up");
    refuse(config.inactive_threshold > Duration::ZERO, "is removed when it was not used for a while, with what it knows of acks");
    refuse(config.memory_storage, "is kept in memory, so a restart of the server forgets acks");
    refuse(config.deliver_subject.is_some(), "pushes messages");
    refuse(config.headers_only, "sends headers only");
    refuse(!config.filter_subjects.is_empty(), "has several subjects");
    refuse(config.filter_subject != settings.subject.clone().unwrap_or_default(), "has another subject");
    found
}

/// In words: what of a consumer is unfit.
pub fn refuse(settings: &InSettings, found: &[String]) -> Failure {
    let (name, found) = (settings.consumer(), found.join("; "));
    refused(settings, format!("its consumer \"{name}\" {found}. Change or delete it, or name another one with --consumer"))
}

fn refused(settings: &InSettings, why: String) -> Failure {
    Failure::Stream { stream: settings.stream.clone(), why }
}
