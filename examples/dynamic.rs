//! A program that never saw the struct: it opens the queue, reads from the segment what its messages
//! are, and prints them field by field. So do programs in other languages, bridges and recorders.
//!
//! `cargo run --example dynamic`
//!
//! The recorder is started as a program of its own, and is told nothing but the queue's name.

use std::env;
use std::error::Error;
use std::process::Command;
use std::time::Duration;

use shmq::{DynQueue, LayoutField, Queue};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(name) => record(&name),
        None => trade(),
    }
}

fn trade() -> Result<(), Box<dyn Error>> {
    #[shmq::message]
    struct Trade {
        price: f64,
        volume: u32,
        venue: [u8; 4],
    }

    let trades = Queue::<Trade>::builder().capacity(16).schema("trade/1").create()?;
    let mut recorder = Command::new(env::current_exe()?).arg(trades.name()).spawn()?;
    for (price, volume) in [(9.5, 100), (9.75, 20), (9.25, 3)] {
        trades.put_timeout(&Trade { price, volume, venue: *b"XETR" }, PATIENCE)?;
    }
    trades.close();
    assert!(recorder.wait()?.success());
    Ok(())
}

/// Knows no type.
fn record(name: &str) -> Result<(), Box<dyn Error>> {
    let queue = DynQueue::open_timeout(name, PATIENCE)?;
    let layout = queue.layout();
    println!("{} ({} bytes): {}", layout.schema_text().unwrap_or("?"), layout.size(), layout.structure_text().unwrap_or("?"));
    let fields = layout.fields();
    let mut message = vec![0; layout.size()];
    while queue.get_into(&mut message).is_ok() {
        let shown: Vec<String> = fields.iter().map(|field| format!("{} = {}", field.name, value_of(field, &message))).collect();
        println!("{}", shown.join(", "));
    }
    assert!(queue.is_closed());
    Ok(())
}

/// A number, text, or else its bytes.
fn value_of(field: &LayoutField, message: &[u8]) -> String {
    let bytes = &message[field.offset..][..field.size];
    match (field.structure.as_str(), bytes) {
        ("f64", &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]).to_string(),
        ("u32", &[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]).to_string(),
        (structure, text) if structure.starts_with("[u8;") => String::from_utf8_lossy(text).into_owned(),
        _ => format!("{bytes:02x?}"),
    }
}
