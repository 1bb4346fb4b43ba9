//! The list of events in `docs/operating.md`, against the sources that send them.

/// Level and message of each event in Rust source text: the last string of `tracing::level!(..)`.
fn events_in(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for call in source.split("tracing::").skip(1) {
        let Some((level, arguments)) = call.split_once("!(") else { continue };
        if !["error", "warn", "info", "debug", "trace"].contains(&level) {
            continue;
        }
        let mut depth = 1;
        let mut quoted = false;
        let end = arguments.find(|c| {
            match c {
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let message = arguments[..end.expect("a call ends")].trim_end().trim_end_matches(',').trim_end();
        let message = message.strip_suffix('"').expect("an event ends with its message");
        found.push((level.to_owned(), message[message.rfind('"').expect("it began") + 1..].to_owned()));
    }
    found
}

#[test]
fn the_documented_events_are_those_of_the_sources() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut sent = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => sent.extend(events_in(&std::fs::read_to_string(path).unwrap())),
                _ => {}
            }
        }
    }
    assert!(sent.len() >= 8, "{sent:?}");
    let document = std::fs::read_to_string(root.join("docs/operating.md")).unwrap();
    let table = document.split("## Events").nth(1).expect("there is a list").split("\n## ").next().unwrap_or_default();
    let listed: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let mut columns = line.strip_prefix("| ")?.split(" | ");
            Some((columns.next()?, columns.next()?.strip_prefix('`')?.strip_suffix('`')?))
        })
        .collect();
    for (level, message) in &sent {
        let is_listed = listed.iter().any(|(levels, text)| text == message && levels.split(", ").any(|one| one == level));
        assert!(is_listed, "docs/operating.md does not list {level} {message:?}");
    }
    for (levels, text) in listed {
        for one in levels.split(", ") {
            assert!(sent.iter().any(|(level, message)| level == one && message == text), "no code sends {one} {text:?}");
        }
    }
}
