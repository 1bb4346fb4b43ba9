//! Counters of a bridge, and the port that shows them as Prometheus reads them.

use crate::failure::Failure;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use tiny_http::{Header, Response, Server};

macro_rules! counters {
    ($($(#[doc = $about:literal])* $kind:ident $name:ident,)*) => {
        /// What one direction of a bridge has done since it was started. Any thread may read them.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $about])* pub $name: AtomicU64,)*
        }

        impl Counters {
            /// Each with its name, its kind and what it counts.
            fn all(&self) -> Vec<(&'static str, &'static str, &'static str, u64)> {
                vec![$((stringify!($name), stringify!($kind), concat!($($about),*), self.$name.load(Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Messages that the stream confirmed, and whose leases were ended.
    counter out_landed,
    /// Messages that were published, those sent again counted again.
    counter out_published,
    /// Times that the bridge found out anew what the stream has.
    counter out_rewinds,
    /// Messages that are under way.
    gauge out_under_way,
    /// Messages that were put into the queue.
    counter in_put,
    /// Acks that the server confirmed.
    counter in_acked,
    /// Messages that came again, and were acked again instead of put.
    counter in_known,
    /// Messages that had to wait for room.
    counter in_full,
    /// Messages that the queue gave up.
    counter in_given_up,
    /// Dead letters that were stored.
    counter in_dead_letters,
    /// Connections that were made anew.
    counter in_reconnects,
    /// Messages that were put and whose acks are not confirmed, or not due.
    gauge in_unacked,
    /// Runs of sequences that are remembered.
    gauge in_remembered_runs,
    /// Messages of a topic that were carried.
    counter mirror_carried,
    /// Messages of a topic that were missed: overwritten before they were read, or lost on the way.
    counter mirror_missed,
    /// Messages of a topic that came late or twice, and were dropped.
    counter mirror_late,
}

/// The counters of all directions of one process.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    directions: Arc<Mutex<Vec<Direction>>>,
}

#[derive(Debug)]
struct Direction {
    kind: &'static str,
    name: String,
    /// Tells it from others of that kind and name.
    more: String,
    counters: Arc<Counters>,
}

impl Registry {
    /// Counters for a direction: `out`, `in` or `mirror`; its queue or topic; and the bridge's name
    /// or the subject, as several may have one queue or topic.
    ///
    /// ```
    /// let registry = shmq_bridge::metrics::Registry::default();
    /// let counters = registry.add("in", "jobs", "night");
    /// counters.in_put.store(7, std::sync::atomic::Ordering::Relaxed);
    /// assert!(registry.text().contains("shmq_bridge_in_put_total{queue=\"jobs\",bridge=\"night\"} 7\n"));
    /// ```
    pub fn add(&self, kind: &'static str, name: &str, more: &str) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        let direction = Direction { kind, name: name.to_owned(), more: more.to_owned(), counters: Arc::clone(&counters) };
        self.directions.lock().unwrap_or_else(PoisonError::into_inner).push(direction);
        counters
    }

    /// All of them, in Prometheus' text format. A direction has only its own.
    pub fn text(&self) -> String {
        let directions = self.directions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (place, (name, kind, about, _)) in Counters::default().all().into_iter().enumerate() {
            let of_kind = |direction: &&Direction| name.starts_with(&format!("{}_", direction.kind));
            let suffix = if kind == "counter" { "_total" } else { "" };
            let name_and_suffix = format!("shmq_bridge_{name}{suffix}");
            let mut is_first = true;
            for direction in directions.iter().filter(of_kind) {
                if std::mem::take(&mut is_first) {
                    let _ = writeln!(text, "# HELP {name_and_suffix}{about}\n# TYPE {name_and_suffix} {kind}");
                }
                let (label, other) = if direction.kind == "mirror" { ("topic", "subject") } else { ("queue", "bridge") };
                let value = direction.counters.all()[place].3;
                let _ = writeln!(
                    text,
                    "{name_and_suffix}{{{label}=\"{}\",{other}=\"{}\"}} {value}",
                    escaped(&direction.name),
                    escaped(&direction.more)
                );
            }
        }
        text
    }

    /// Shows them at that address, from a thread of its own that ends with the process. Returns the
    /// address, which has a port of the system's choice if 0 was asked for.
    ///
    /// # Errors
    /// [`Failure::Os`] if the address cannot be had.
    pub fn serve(&self, address: SocketAddr) -> Result<SocketAddr, Failure> {
        let os = |what: String, error: Box<dyn std::error::Error + Send + Sync>| Failure::Os {
            what,
            source: std::io::Error::other(error),
        };
        let server = Server::http(address).map_err(|error| os(format!("show counters at {address}"), error))?;
        let address = server.server_addr().to_ip().unwrap_or(address);
        let registry = self.clone();
        let answer = move || {
            let plain: Option<Header> = "Content-Type: text/plain; version=0.0.4; charset=utf-8".parse().ok();
            for request in server.incoming_requests() {
                let (text, code) = match request.url().split('?').next() {
                    Some("/metrics") => (registry.text(), 200),
                    _ => ("counters are at /metrics\n".to_owned(), 404),
                };
                let response = Response::from_string(text).with_status_code(code);
                // A reader that went away needs no answer.
                let _ = match plain.clone() {
                    Some(plain) => request.respond(response.with_header(plain)),
                    None => request.respond(response),
                };
            }
        };
        std::thread::Builder::new()
            .name("metrics".into())
            .spawn(answer)
            .map_err(|error| os("start a thread".into(), error.into()))?;
        tracing::info!("counters: http://{address}/metrics");
        Ok(address)
    }
}

/// A label's value: backslash, quote and newline are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::Registry;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn counters_are_shown_by_queue_and_each_kind_once() {
        let registry = Registry::default();
        registry.add("in", "one", "one").in_put.store(3, Relaxed);
        registry.add("in", "a\"b", "x\\y").in_put.store(4, Relaxed);
        registry.add("mirror", "ticks", "t").mirror_missed.store(5, Relaxed);
        let address = registry.serve(([127, 0, 0, 1], 0).into()).unwrap();
        let ask = |path: &str| {
            let mut connection = TcpStream::connect(address).unwrap();
            write!(connection, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            answer
        };
        let answer = ask("/metrics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let lines = [
            "# HELP shmq_bridge_in_put_total Messages that were put into the queue.",
            "# TYPE shmq_bridge_in_put_total counter",
            "shmq_bridge_in_put_total{queue=\"one\",bridge=\"one\"} 3",
            "shmq_bridge_in_put_total{queue=\"a\\\"b\",bridge=\"x\\\\y\"} 4",
            "# TYPE shmq_bridge_in_unacked gauge",
            "shmq_bridge_mirror_missed_total{topic=\"ticks\",subject=\"t\"} 5",
        ];
        lines.iter().for_each(|line| assert_eq!(answer.matches(line).count(), 1, "{line}: {answer}"));
        assert!(!answer.contains("out_landed"), "{answer}");
        assert!(ask("/").starts_with("HTTP/1.1 404"));
    }
}
