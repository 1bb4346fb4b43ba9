//! Dead letters: messages that the queue gave up, or does not take, go to a subject that another
//! stream listens to. The original is acked once the letter is stored there.
//!
//! A letter bears `Nats-Msg-Id: STREAM:SEQUENCE`: where its stream remembers ids (two minutes,
//! unless set otherwise), a letter that is sent twice, after a kill in between, is stored once.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{Context, message::PublishMessage};

/// Why a message became a letter.
pub const WHY: &str = "Shmq-Why";
/// The stream and the sequence that it had.
pub const FROM: &str = "Shmq-From";

/// Sends the letter of a message, which is still in its stream. `Ok(false)`: it is not there any
/// more, it was acked before.
///
/// # Errors
/// In words. Nothing was acked.
pub async fn send(jetstream: &Context, stream: &Stream, subject: &str, sequence: u64, why: &str) -> Result<bool, String> {
    use async_nats::jetstream::stream::RawMessageErrorKind;
    let message = match stream.get_raw_message(sequence).await {
        Ok(message) => message,
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
    let mut headers: HeaderMap = message.headers;
    let from = format!("{}:{sequence}", stream.cached_info().config.name);
    headers.insert(WHY, one_line(why).as_str());
    headers.insert(FROM, from.as_str());
    let letter = PublishMessage::build().payload(message.payload).headers(headers).message_id(&from);
    let sent = jetstream.send_publish(subject.to_owned(), letter).await.map_err(|error| error.to_string())?;
    sent.await.map(|_| true).map_err(|error| {
        format!("{error} (does a stream listen to the subject \"{subject}\"? `--dead-letters` names another one)")
    })
}

fn one_line(text: &str) -> String {
    text.chars().map(|each| if each.is_control() { ' ' } else { each }).collect()
}
