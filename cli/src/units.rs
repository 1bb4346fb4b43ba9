//! Numbers, sizes and times as people read them.

use std::time::{Duration, SystemTime};

/// `0`, `999`, `12.3k`, `4.56M`.
pub fn count(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// `0 B`, `999 B`, `1.50 KiB`.
pub fn bytes(number: f64) -> String {
    scaled(number, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

fn scaled(mut number: f64, base: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while number >= base - 0.5 && unit + 1 < units.len() {
        number /= base;
        unit += 1;
    }
    let decimals = match number {
        _ if unit == 0 => 0,
        n if n < 9.995 => 2,
        n if n < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}{}", units[unit])
}

/// `1 message`, `2 messages`.
pub fn messages(count: u64) -> String {
    plural(count, "message", "messages")
}

pub fn plural(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// `0.3s`, `12s`, `5m`, `3h`, `9d`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=9 => format!("{:.1}s", time.as_secs_f64()),
        10..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

pub fn age(created: SystemTime) -> Duration {
    SystemTime::now().duration_since(created).unwrap_or_default()
}

/// `1 message waits`, `2 messages wait`.
pub fn messages_wait(count: u64) -> String {
    if count == 1 { "1 message waits".to_owned() } else { format!("{count} messages wait") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(
            [0.0, 999.0, 1000.0, 12_345.0, 999_999.0].map(count),
            ["0", "999", "1.00k", "12.3k", "1.00M"].map(str::to_owned)
        );
        assert_eq!([1023.0, 1536.0, 65536.0].map(bytes), ["1023 B", "1.50 KiB", "64.0 KiB"].map(str::to_owned));
        let seconds = [0, 9, 60, 600, 10_000, 1_000_000].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(seconds, ["0.0s", "9.0s", "60s", "10m", "2h", "11d"].map(str::to_owned));
    }
}
