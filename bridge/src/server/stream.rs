//! [`Facts`] of a stream; making it; reading it back.

use super::request::{NotAnswered, ask};
use super::{Mark, Server};
use crate::headers;
use async_nats::jetstream::stream::Config;
use serde_json::{Map, Value, json};
use shmq::MessageId;

/// A stream, as the server described it at some moment.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What it was made to be.
    pub config: Config,
    /// The lowest sequence that is still there; one more than the last if none is.
    pub first: u64,
    /// The last sequence that was given to a message.
    pub last: u64,
    /// What is kept of the configuration when it is changed: also what this client does not know.
    raw: Value,
}

impl Facts {
    fn of(answer: Value) -> Result<Facts, NotAnswered> {
        let strange = || NotAnswered::Away(format!("the server describes the stream in a way that is not understood: {answer}"));
        let number = |name: &str| answer["state"][name].as_u64().ok_or_else(strange);
        let config = serde_json::from_value(answer["config"].clone()).map_err(|_| strange())?;
        Ok(Facts { config, first: number("first_seq")?, last: number("last_seq")?, raw: answer["config"].clone() })
    }

    /// Text of the stream's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.config.metadata.get(key).map(String::as_str)
    }
}

/// Asks for a stream.
///
/// # Errors
/// [`NotAnswered`]; a stream that is not there is refused with
/// [`is_no_stream`](super::Refused::is_no_stream).
pub async fn facts(server: &Server, stream: &str) -> Result<Facts, NotAnswered> {
    Facts::of(ask(&server.jetstream, server.timeout, format!("STREAM.INFO.{stream}"), &json!({})).await?)
}

/// Makes a stream. One that exists with the same configuration is left as it is.
///
/// # Errors
/// [`NotAnswered`].
pub async fn create(server: &Server, config: &Config) -> Result<Facts, NotAnswered> {
    let config_in_words = serde_json::to_value(config).map_err(|error| NotAnswered::Away(error.to_string()))?;
    Facts::of(ask(&server.jetstream, server.timeout, format!("STREAM.CREATE.{}", config.name), &config_in_words).await?)
}

/// Writes whose a stream is, and `more` metadata, into the stream.
///
/// # Errors
/// [`NotAnswered`].
pub async fn mark(server: &Server, facts: &Facts, mark: &Mark, more: &[(&str, &str)]) -> Result<Facts, NotAnswered> {
    let mut config = facts.raw.clone();
    if mark_goes_into_metadata(&server.client.server_info().version) {
        let metadata = &mut config["metadata"];
        if !metadata.is_object() {
            *metadata = Value::Object(Map::new());
        }
        for (key, value) in mark.metadata() {
            metadata[key] = Value::String(value);
        }
        for (key, value) in more {
            metadata[*key] = Value::String((*value).to_owned());
        }
    } else {
        config["description"] = Value::String(mark.described(facts.config.description.as_deref()));
    }
    Facts::of(ask(&server.jetstream, server.timeout, format!("STREAM.UPDATE.{}", facts.config.name), &config).await?)
}

/// Servers have metadata since 2.10.
fn mark_goes_into_metadata(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (2, 10)
}

/// What lies at one sequence of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing any more.
    Nothing,
    /// A message with that id.
    Id(MessageId),
    /// A message without an id of ours.
    Stranger,
}

/// Reads the message at one sequence, from the stream's leader.
///
/// # Errors
/// [`NotAnswered::Away`], or [`NotAnswered::Refused`] for another reason than that there is no
/// message.
pub async fn read_back(server: &Server, stream: &str, sequence: u64) -> Result<Found, NotAnswered> {
    let answer = ask(&server.jetstream, server.timeout, format!("STREAM.MSG.GET.{stream}"), &json!({ "seq": sequence })).await;
    let answer = match answer {
        Err(NotAnswered::Refused(refused)) if refused.is_no_message() => return Ok(Found::Nothing),
        answer => answer?,
    };
    let headers = answer["message"]["hdrs"].as_str().unwrap_or_default();
    Ok(id_in(headers).map_or(Found::Stranger, Found::Id))
}

/// The id in headers as the server keeps them: lines, in base64.
fn id_in(base64: &str) -> Option<MessageId> {
    let bytes = decode_base64(base64)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let name = headers::ID;
    let line = text.lines().find_map(|line| line.strip_prefix(name.as_ref() as &str)?.strip_prefix(':'))?;
    headers::parse_id(line.trim())
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes().filter(|&letter| letter != b'=') {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(six), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_nats::HeaderMap;

    #[test]
    fn ids_are_read_back_from_the_servers_form() {
        let id = MessageId::from_bytes(std::array::from_fn(|nth| nth as u8 * 17));
        let mut map = HeaderMap::new();
        map.insert(headers::ID, id.to_string());
        assert_eq!(headers::id_of(&map), Some(id));
        // printf 'NATS/1.0\r\nNats-Expected-Last-Sequence: 4\r\nShmq-Id: 0011…ff\r\n\r\n' | base64
        let base64 = "TkFUUy8xLjANCk5hdHMtRXhwZWN0ZWQtTGFzdC1TZXF1ZW5jZTogNA0KU2htcS1JZDogMDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmYNCg0K";
        assert_eq!(id_in(base64), Some(id));
        assert_eq!(id_in(""), None);
        assert_eq!(id_in("TkFUUy8xLjANCg0K"), None);
    }

    #[test]
    fn old_servers_have_no_metadata() {
        assert!(!mark_goes_into_metadata("2.9.10"));
        assert!(
            mark_goes_into_metadata("2.10.0") && mark_goes_into_metadata("2.14.0") && mark_goes_into_metadata("3.0.0-beta.1")
        );
    }
}
