//! `shmq stat`: everything that is known about one queue.

mod topic;

use crate::arguments::Stat;
use crate::failure::Failure;
use crate::json;
use crate::rates::Rates;
use crate::rows::Row;
use crate::stdio;
use crate::style;
use crate::style::BOLD;
use crate::table;
use crate::table::TableCell;
use crate::terms;
use crate::text;
use crate::units;
use shmq::inspect::{About, Hold, Inspector, Snapshot, Waiting};

pub fn run(arguments: &Stat) -> Result<u8, Failure> {
    let name = &arguments.name;
    let inspector = Inspector::open(name).map_err(|error| Failure::open(name, &error))?;
    let about = inspector.about();
    let before = (!arguments.interval.is_zero()).then(|| {
        let before = inspector.snapshot();
        std::thread::sleep(arguments.interval);
        before
    });
    let now = inspector.snapshot();
    if arguments.json {
        let rates = before.as_ref().map(|before| Rates::between(before, &now));
        let row = Row { name: name.clone(), owner_uid: about.owner_uid, seen: Ok((about, now)), nameless: false };
        let value = json::queue(&row, rates.as_ref());
        stdio::print(&json::text(&value))?;
    } else {
        stdio::print(&report(name, &about, before.as_ref(), &now))?;
    }
    Ok(0)
}

fn report(name: &str, about: &About, before: Option<&Snapshot>, now: &Snapshot) -> String {
    let mut out = format!("{}\n", style::painted(BOLD, &text::escaped(name)));
    let mut line = |what: &str, value: String| out += &format!("  {what:<18}{value}\n");
    let stats = &now.stats;
    let persisted = if now.persisted { ", stays when its last user leaves" } else { "" };
    let nameless = if now.has_name { "" } else { ", has lost its name" };
    let closed = if now.closed { ", closed" } else { "" };
    line("state", format!("{}{closed}{persisted}{nameless}", if now.damaged { "damaged" } else { terms::state_word(now.state) }));
    line("type", about.type_in_words());
    if let Some(structure) = &about.structure {
        line("structure", text::escaped(structure));
    }
    if let Some(predecessor) = &about.predecessor {
        line("replaced", terms::predecessor_in_words(predecessor));
    }
    let in_bytes = units::bytes(about.capacity_bytes as f64);
    line("capacity", about.capacity.map_or(in_bytes.clone(), |most| format!("{}, {in_bytes}", units::messages(most))));
    line("largest message", units::bytes(about.max_message_bytes as f64));
    if about.closes_when_unused {
        let number = |has: fn(&shmq::inspect::Participant) -> bool| now.participants.iter().filter(|&one| has(one)).count();
        let (senders, receivers) = (number(|one| one.sends), number(|one| one.receives));
        line("closes", format!("when unused; processes with a sender: {senders}, with a receiver: {receivers}"));
    }
    line("age", units::duration(units::age(about.created)));
    let rates = before.map(|before| Rates::between(before, now));
    if let Some(topic) = &now.topic {
        topic::lines(about, now, topic, rates.as_ref(), line);
        return out + &participants(now) + &topic::subscribers(topic) + &holdings(before, now);
    }
    line("messages", format!("{}, {}", now.messages, units::bytes(now.bytes as f64)));
    line("on lease, loan", format!("{}, {}", now.on_lease, now.on_loan));
    if now.viewed != 0 {
        line("kept by views", format!("{}, which are done", units::messages(now.viewed)));
    }
    line("came back", format!("{} (most deliveries of one: {})", now.came_back, now.most_deliveries));
    line("high water", format!("{}, as seen by puts that had to wait", units::messages(stats.high_water)));
    let puts = per_second(rates.as_ref().map(|rates| (rates.puts, rates.bytes_put)));
    let gets = per_second(rates.as_ref().map(|rates| (rates.gets, rates.bytes_got)));
    line("puts", format!("{}, {}{puts}", stats.puts, units::bytes(stats.bytes_put as f64)));
    line("gets", format!("{}, {}{gets}", stats.gets, units::bytes(stats.bytes_got as f64)));
    line("blocked puts", format!("{}, {} altogether", stats.blocked_puts, units::duration(stats.blocked_put_time)));
    line("blocked gets", format!("{}, {} altogether", stats.blocked_gets, units::duration(stats.blocked_get_time)));
    line("refused puts", stats.refused_puts.to_string());
    if about.max_spilled_bytes > 0 {
        let (now_in_files, most) = (units::bytes(stats.spilled_bytes as f64), units::bytes(about.max_spilled_bytes as f64));
        line("in files", format!("{now_in_files} of {most} at most; {} objects were put so", stats.spilled));
    }
    line("timeouts", format!("put {}, get {}", stats.put_timeouts, stats.get_timeouts));
    line("wakes", stats.wakes.to_string());
    line("recoveries", format!("{} (redelivered {}, aborted {})", stats.recoveries, stats.redelivered, stats.aborted));
    let refused =
        if stats.dead_letters_refused == 0 { String::new() } else { format!(", {} attempts failed", stats.dead_letters_refused) };
    line("given up", format!("{} dropped, {} dead letters{refused}", stats.given_up, stats.dead_letters));
    out += &participants(now);
    out += &holdings(before, now);
    out
}

/// What a rate adds to a line: messages and bytes per second, if there were two readings.
fn per_second(rate: Option<(f64, f64)>) -> String {
    rate.map_or(String::new(), |(messages, bytes)| format!("   {}/s, {}/s", units::count(messages), units::bytes(bytes)))
}

fn participants(now: &Snapshot) -> String {
    if now.participants.is_empty() {
        return "\nNo process is attached.\n".to_owned();
    }
    let waits = |waits: Option<Waiting>| {
        waits.map_or("-".to_owned(), |waits| match waits.threads {
            1 => units::duration(waits.since),
            threads => format!("{} ({threads} threads)", units::duration(waits.since)),
        })
    };
    let row = |participant: &shmq::inspect::Participant| {
        let process = if participant.alive { terms::process_word(participant.process) } else { "dead" };
        vec![
            TableCell::plain(participant.pid.to_string()),
            TableCell::plain(participant.program.as_deref().map_or("-".to_owned(), text::escaped)),
            TableCell::plain(Some(terms::role(participant, now)).filter(|role| !role.is_empty()).unwrap_or("-")),
            TableCell::plain(process),
            TableCell::plain(units::duration(units::age(participant.attached))),
            TableCell::plain(waits(participant.put_waits)),
            TableCell::plain(waits(participant.get_waits)),
        ]
    };
    let rows: Vec<Vec<TableCell>> = now.participants.iter().map(row).collect();
    let (puts, gets) = if now.topic.is_some() { ("PUBLISH WAITS", "READ WAITS") } else { ("PUT WAITS", "GET WAITS") };
    let head = ["PID", "PROGRAM", "ROLE", "PROCESS", "ATTACHED", puts, gets];
    format!("\n{}", table::columns(&head, &[0, 4, 5, 6], &rows))
}

fn holdings(before: Option<&Snapshot>, now: &Snapshot) -> String {
    if now.holdings.is_empty() {
        return String::new();
    }
    let row = |held: &shmq::inspect::Holding| {
        let was = |before: &&Snapshot| {
            // The position of a dropped loan is used again.
            let replaced = match held.what {
                Hold::Loan => before.stats.aborted != now.stats.aborted,
                // It may have been free in between.
                what => what == Hold::Lock,
            };
            !replaced
                && before.holdings.iter().any(|was| (was.what, was.pid, was.position) == (held.what, held.pid, held.position))
        };
        let at_least = before.filter(was).map(|before| now.at.saturating_duration_since(before.at));
        let since = match (held.since, at_least) {
            (Some(since), _) => units::duration(since),
            (None, Some(at_least)) => format!("{} at least", units::duration(at_least)),
            (None, None) => "-".to_owned(),
        };
        let of_message = |value: String| if held.bytes == 0 && held.deliveries == 0 { "-".to_owned() } else { value };
        vec![
            TableCell::plain(terms::hold_word(held.what)),
            TableCell::plain(if held.pid == 0 { "gone".to_owned() } else { held.pid.to_string() }),
            TableCell::plain(if held.alive { "alive" } else { "DEAD" }),
            TableCell::plain(since),
            TableCell::plain(of_message(units::bytes(held.bytes as f64))),
            TableCell::plain(of_message(held.deliveries.to_string())),
        ]
    };
    /// More lines are only counted.
    const SHOWN: usize = 20;
    let rows: Vec<Vec<TableCell>> = now.holdings.iter().take(SHOWN).map(row).collect();
    let head = ["HELD", "BY", "", "FOR", "BYTES", "DELIVERIES"];
    let more = now.holdings.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("... and {more} more\n") } else { String::new() };
    format!("\n{}{more}", table::columns(&head, &[1, 3, 4, 5], &rows))
}
