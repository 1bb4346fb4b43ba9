//! `shmq peek`: messages, without taking them.

use crate::arguments::Peek;
use crate::bytes::Stream;
use crate::failure::Failure;
use crate::json;
use crate::words::{self, DIM};
use serde_json::{Value, json};
use shmq::inspect::{Inspector, Peeked};

pub fn run(arguments: &Peek) -> Result<u8, Failure> {
    let inspector = Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?;
    if arguments.raw {
        let messages = inspector.peek(arguments.number, usize::MAX);
        let parts: Vec<&[u8]> = messages.iter().map(|message| &message.bytes[..]).collect();
        Stream::output().write_all(&parts).1?;
        return Ok(0);
    }
    let messages = inspector.peek(arguments.number, arguments.bytes);
    if arguments.json {
        words::print(&json::text(&Value::Array(messages.iter().map(value).collect())))?;
        return Ok(0);
    }
    let line = |(number, message): (usize, &Peeked)| {
        let cut = if message.length > message.bytes.len() as u64 { "..." } else { "" };
        let again = match message.deliveries {
            0 => String::new(),
            n => format!(", delivered {n} times before"),
        };
        let about = words::painted(DIM, &format!("{:>4}  {}{again}", number + 1, words::bytes(message.length as f64)));
        format!("{about}  \"{}\"{cut}\n", message.bytes.escape_ascii())
    };
    words::print(&messages.iter().enumerate().map(line).collect::<String>())?;
    Ok(0)
}

fn value(message: &Peeked) -> Value {
    json!({
        "length": message.length,
        "deliveries": message.deliveries,
        "text": std::str::from_utf8(&message.bytes).ok(),
        "hex": message.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}
