//! [`Span`]: a length of time as people write it.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time as people write it: `250ms`, `5s`, `2m`, `1h`.
///
/// ```
/// use shmq_bridge::settings::Span;
/// use std::time::Duration;
///
/// let span: Span = "1.5s".parse().unwrap();
/// assert_eq!(span.get(), Duration::from_millis(1500));
/// assert!("5".parse::<Span>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Said")]
pub struct Span(Duration);

impl Span {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// The same, as the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let refused = || format!("\"{text}\" is no length of time: write 250ms, 5s, 2m or 1h");
        let unit = text.find(|each: char| each.is_ascii_alphabetic()).ok_or_else(refused)?;
        let number: f64 = text[..unit].trim().parse().map_err(|_| refused())?;
        let seconds = match &text[unit..] {
            "ms" => number / 1000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return Err(refused()),
        };
        Duration::try_from_secs_f64(seconds).map(Span).map_err(|_| refused())
    }
}

/// As a file has it: a number alone gets the same words as on the command line.
#[derive(Deserialize)]
#[serde(untagged, expecting = "no length of time: write \"250ms\", \"5s\", \"2m\" or \"1h\"")]
enum Said {
    Text(String),
}

impl TryFrom<Said> for Span {
    type Error = String;

    fn try_from(Said::Text(text): Said) -> Result<Span, String> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if millis % 1000 == 0 => write!(out, "{}s", millis / 1000),
            millis => write!(out, "{millis}ms"),
        }
    }
}
