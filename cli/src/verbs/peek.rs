//! `shmq peek`: messages, without taking them.

use crate::arguments::Peek;
use crate::failure::Failure;
use crate::json;
use crate::msgpack::{self, Item};
use crate::stdio;
use crate::stdio::Stream;
use crate::style;
use crate::style::DIM;
use crate::text;
use crate::units;
use serde_json::{Value, json};
use shmq::inspect::{About, Inspector, Kind, Peeked};

/// How much is shown of a message, as bytes and decoded, without `--bytes`.
const BYTES_SHOWN: usize = 64;
const DECODED_SHOWN: usize = 1024;

pub fn run(arguments: &Peek) -> Result<u8, Failure> {
    let inspector = Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?;
    if arguments.raw {
        let output = Stream::output()?;
        let messages = inspector.peek(arguments.number, usize::MAX);
        let parts: Vec<&[u8]> = messages.iter().map(|message| &message.bytes[..]).collect();
        output.write_all(&parts).1?;
        return Ok(0);
    }
    let about = inspector.about();
    let may_decode = is_messagepack(&about);
    // Part of an encoded object cannot be decoded.
    let wanted = if may_decode { usize::MAX } else { arguments.bytes.unwrap_or(BYTES_SHOWN) };
    let messages = inspector.peek(arguments.number, wanted);
    let decoded = |message: &Peeked| msgpack::decode(&message.bytes).filter(|_| may_decode);
    if arguments.json {
        let shown = arguments.bytes.unwrap_or(BYTES_SHOWN);
        let values = messages.iter().map(|message| value(message, shown, decoded(message))).collect();
        stdio::print(&json::text(&Value::Array(values)))?;
        return Ok(0);
    }
    let line = |(number, message): (usize, &Peeked)| {
        let again = match message.deliveries {
            0 => String::new(),
            1 => ", delivered once before".to_owned(),
            n => format!(", delivered {n} times before"),
        };
        let about = style::painted(DIM, &format!("{:>4}  {}{again}", number + 1, units::bytes(message.length as f64)));
        let content = match decoded(message) {
            Some(item) => cut(&item.in_words(), arguments.bytes.unwrap_or(DECODED_SHOWN)),
            None => {
                let shown = &message.bytes[..message.bytes.len().min(arguments.bytes.unwrap_or(BYTES_SHOWN))];
                let dots = if message.length > shown.len() as u64 { "..." } else { "" };
                format!("\"{}\"{dots}", shown.escape_ascii())
            }
        };
        format!("{about}  {content}\n")
    };
    stdio::print(&messages.iter().enumerate().map(line).collect::<String>())?;
    if messages.is_empty() {
        stdio::complain(&nothing_to_show(&inspector, &about));
    }
    Ok(0)
}

/// May its messages be MessagePack? A long type name is cut off before the codec's name: then the
/// bytes decide.
fn is_messagepack(about: &About) -> bool {
    let codec = about.type_name.rsplit_once(" as ").map(|(_, codec)| codec);
    matches!(about.kind, Kind::Encoded | Kind::TopicEncoded) && codec.is_none_or(|codec| "MessagePack".starts_with(codec))
}

fn nothing_to_show(inspector: &Inspector, about: &About) -> String {
    let name = text::quoted(inspector.name());
    if about.kind.is_topic() {
        return format!("topic {name} has no message that is left");
    }
    if !about.kind.is_queue() {
        return format!("{name} is no queue, but a primitive of shmq::sync ({})", about.kind.in_words());
    }
    let seen = inspector.snapshot();
    match (seen.on_lease, seen.viewed) {
        (0, 0) => format!("queue {name} is empty"),
        (0, count) => {
            format!("queue {name} is empty, but for {} that are done and kept by views (see `shmq stat`)", units::messages(count))
        }
        (count, _) => format!("queue {name} is empty, but for {} on lease (see `shmq stat`)", units::messages(count)),
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn value(message: &Peeked, shown: usize, decoded: Option<Item>) -> Value {
    let bytes = &message.bytes[..message.bytes.len().min(shown)];
    json!({
        "length": message.length,
        "deliveries": message.deliveries,
        "text": text(bytes, bytes.len() < message.bytes.len() || (bytes.len() as u64) < message.length),
        "hex": msgpack::hex(bytes),
        "object": decoded.map(|item| item.json()),
    })
}

/// `None`: it is not text. Text that was cut off may end within a character, which is left out.
fn text(bytes: &[u8], is_cut: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Err(error) if is_cut && error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        text => text.ok(),
    }
}
