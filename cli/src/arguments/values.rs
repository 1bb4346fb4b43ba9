//! Numbers, sizes and times of the command line, from text.

use std::time::Duration;

/// The longest timeout: longer ones count as this, which can be added to the time of day.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

pub fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Err(_) => Err("not a number of seconds".to_owned()),
        Ok(seconds) if seconds.is_nan() || seconds < 0.0 => Err("seconds are 0 or more".to_owned()),
        Ok(seconds) => Ok(Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))),
    }
}

pub fn schema(text: &str) -> Result<String, String> {
    if text.len() > 64 { Err(format!("a schema has at most 64 bytes, this has {}", text.len())) } else { Ok(text.to_owned()) }
}

pub fn size(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: usize = match unit {
        "" | "B" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return Err("a size is a number with B, K, M or G behind it".to_owned()),
    };
    let number: usize = digits.parse().map_err(|_| "a size begins with a number".to_owned())?;
    number.checked_mul(factor).filter(|&bytes| bytes > 0).ok_or_else(|| "not a possible size".to_owned())
}

pub fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| "permissions are octal, as 660".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_seconds_is_too_long() {
        assert_eq!((seconds("0"), seconds("0.5")), (Ok(Duration::ZERO), Ok(Duration::from_millis(500))));
        for long in ["1e10", "1e19", "1e300", "inf", "9999999999999999999999"] {
            assert_eq!(seconds(long), Ok(LONGEST), "{long}");
        }
        assert!(std::time::Instant::now().checked_add(LONGEST).is_some());
        for wrong in ["", "-1", "-inf", "nan", "1s", "half"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!((size("64K"), size("7"), size("2GiB")), (Ok(65536), Ok(7), Ok(2 << 30)));
        assert!(size("").is_err() && size("K").is_err() && size("1T").is_err() && size("0").is_err() && size("-1").is_err());
        assert_eq!((octal("660"), octal("8").is_err()), (Ok(0o660), true));
    }
}
