//! Starting an out bridge: the queue, the journal, the server and the stream, and that they belong
//! together.

use super::bind::{Bind, bind};
use super::carry::{Bridge, Parts, RETRY};
use super::flight::Flight;
use super::leases::Leases;
use super::source;
use super::watch::Watch;
use super::wire::Wire;
use crate::failure::Failure;
use crate::headers::Tag;
use crate::journal::{OutWords, Segment};
use crate::metrics::Counters;
use crate::queue::Named;
use crate::server::{self, Facts, Mark, Needs, NotAnswered, Server};
use crate::settings::{OutSettings, Retention, ServerSettings};
use crate::stop::Stop;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use shmq::DynQueue;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a server that does not answer is asked again: it may be starting.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Carries messages from a queue to a stream until it is asked to end, or the queue is closed and
/// drained.
///
/// # Errors
/// [`Failure`]; nothing was lost.
pub async fn run(
    settings: &OutSettings,
    server_settings: &ServerSettings,
    counters: &Counters,
    stop: Stop,
) -> Result<(), Failure> {
    let named = Named::of(&settings.queue)?;
    let queue = source::open(settings)?;
    let segment = Segment::open(&format!("{}.bridge-out", settings.name()), OutWords::COUNT, &settings.queue)?;
    let words = OutWords::over(segment.words());
    if !words.is_known() {
        let why =
            "another version of the bridge wrote it; run that version until nothing is under way, then remove it".to_owned();
        return Err(Failure::Journal { segment: segment.name().to_owned(), why });
    }
    let mut held = Some(source::consumer(&queue, settings)?);
    let client = format!("shmq-bridge out {}", settings.name());
    let server = tokio::select! {
        server = server::connect(server_settings, &client, settings.ack_timeout.get()) => server?,
        () = stop.wait() => return Ok(()),
    };
    let tag = Tag::of(queue.layout());
    let mut watch = Watch::over(named, &server, &settings.stream);
    let mut begins_anew = false;
    loop {
        let wire = Wire::over(&server, &settings.stream, settings.subject(), &tag, settings.ack_timeout.get()).await;
        let mut wire = wire.map_err(|why| Failure::Unreachable { server: server.address.clone(), why })?;
        fit(&queue, &wire, settings)?;
        let (number, facts) = belong_together(&server, settings, words, &queue, &tag, wire.header_bytes(), begins_anew).await?;
        wire.set_stream_max(facts.config.max_message_size);
        let consumer = held.take().map_or_else(|| source::consumer(&queue, settings), Ok)?;
        let mut bridge = Bridge::of(Parts {
            settings,
            counters,
            stop: stop.clone(),
            server: &server,
            wire,
            flight: Flight::resume(words),
            number,
            queue: &queue,
            leases: Leases::of(consumer)?,
        });
        bridge.take_back().await?;
        match bridge.stand().await {
            // What the marks do not show: it is found in the stream.
            Err(failure @ (Failure::Foreign { .. } | Failure::Identity { .. })) if settings.adopt && !begins_anew => {
                tracing::warn!(queue = settings.queue, stream = settings.stream, "begun anew as asked, though {failure}");
                begins_anew = true;
                continue;
            }
            stood => stood?,
        }
        bridge.carry(&mut watch).await?;
        tracing::info!(queue = settings.queue, stream = settings.stream, "ended; nothing is under way");
        return Ok(());
    }
}

/// Would the server take all messages of the queue?
fn fit(queue: &DynQueue, wire: &Wire<'_>, settings: &OutSettings) -> Result<(), Failure> {
    let (len, max) = (queue.max_len(), wire.max_message_bytes());
    if len <= max {
        return Ok(());
    }
    let why = format!(
        "its messages may have {len} bytes (max_len), and the server takes {max} beside {} of headers: raise max_payload of the server, or \
         create the queue with a smaller capacity_bytes",
        wire.header_bytes()
    );
    Err(Failure::Queue { queue: settings.queue.clone(), why })
}

/// Finds the stream, or makes it; finds that it can be used, and that queue, journal and stream
/// belong together, or begins them anew. Returns the journal's number, and the stream.
async fn belong_together(
    server: &Server,
    settings: &OutSettings,
    words: OutWords<'_>,
    queue: &DynQueue,
    tag: &Tag,
    header_bytes: usize,
    begins_anew: bool,
) -> Result<(u64, Facts), Failure> {
    let stream = &settings.stream;
    let mut facts = match answered(server, || server::facts(server, stream)).await {
        Err(NotAnswered::Refused(refused)) if refused.is_no_stream() && settings.create => {
            let made = answered(server, || async { server::create(server, &config(settings)).await }).await;
            made.map_err(|error| unusable(settings, server, error))?
        }
        facts => facts.map_err(|error| unusable(settings, server, error))?,
    };
    check(&facts, settings, queue, header_bytes)?;
    let refused = |why| Failure::Identity { queue: settings.queue.clone(), stream: stream.clone(), why };
    let nonce = queue.nonce();
    let mark_of = |number| Mark { queue: nonce, journal: number, bridge: settings.name().to_owned() };
    match bind(words, nonce, stream, Mark::of(&facts).as_ref(), facts.last) {
        Bind::Continue if !begins_anew => return Ok((words.number(), facts)),
        Bind::Finish => {}
        Bind::Refuse(why) if !settings.adopt => return Err(refused(why)),
        decided => {
            if let Bind::Refuse(why) = decided {
                tracing::warn!(queue = settings.queue, stream, "begun anew as asked, though {why}");
            }
            let number = RandomState::new().build_hasher().finish();
            words.begin(nonce, number, stream, facts.last);
            let mut more = vec![("shmq-type", tag.layout())];
            more.extend(tag.schema().map(|schema| ("shmq-schema", schema)));
            more.extend(queue.layout().structure_text().map(|structure| ("shmq-structure", structure)));
            let mark = mark_of(number);
            let marked = answered(server, || server::mark(server, &facts, &mark, &more)).await;
            facts = marked.map_err(|error| unusable(settings, server, error))?;
        }
    }
    // Two bridges may have begun with one stream at the same time: the later mark counts.
    if Mark::of(&facts) != Some(mark_of(words.number())) {
        return Err(refused(
            "another bridge has begun with this stream just now. Each out bridge needs a stream of its own".into(),
        ));
    }
    words.bind();
    Ok((words.number(), facts))
}

/// Can the stream be used?
pub(super) fn check(facts: &Facts, settings: &OutSettings, queue: &DynQueue, header_bytes: usize) -> Result<(), Failure> {
    let needs =
        Needs { subject: Some(settings.subject()), retention: settings.retention, message_bytes: queue.max_len() + header_bytes };
    let differences = server::differences(&facts.config, &needs);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Failure::Stream { stream: settings.stream.clone(), why: differences.join("; ") }),
    }
}

/// Asks again while the server does not answer, for as long as a start may take.
async fn answered<T, F: Future<Output = Result<T, NotAnswered>>>(server: &Server, ask: impl Fn() -> F) -> Result<T, NotAnswered> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        match ask().await {
            Err(NotAnswered::Away(why)) if Instant::now() < deadline => {
                tracing::debug!(server = server.address, "asking again: {why}");
                sleep(RETRY).await;
            }
            answer => return answer,
        }
    }
}

fn unusable(settings: &OutSettings, server: &Server, error: NotAnswered) -> Failure {
    let stream = settings.stream.clone();
    match error {
        NotAnswered::Refused(refused) if refused.is_no_stream() => Failure::NoStream { stream },
        NotAnswered::Refused(refused) if refused.is_no_jetstream() => {
            Failure::NoJetStream { server: server.address.clone(), why: refused.why }
        }
        NotAnswered::Refused(refused) => Failure::Stream { stream, why: format!("the server says: {}", refused.why) },
        NotAnswered::Away(why) => Failure::Unreachable { server: server.address.clone(), why },
    }
}

/// The stream that `--create` makes.
fn config(settings: &OutSettings) -> Config {
    let bound = |asked: Option<u64>| asked.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX));
    Config {
        name: settings.stream.clone(),
        subjects: vec![settings.subject().to_owned()],
        retention: match settings.retention.unwrap_or(Retention::WorkQueue) {
            Retention::WorkQueue => RetentionPolicy::WorkQueue,
            Retention::Limits => RetentionPolicy::Limits,
        },
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: bound(settings.max_messages),
        max_bytes: bound(settings.max_bytes),
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        max_age: Duration::ZERO,
        num_replicas: settings.replicas,
        ..Config::default()
    }
}
