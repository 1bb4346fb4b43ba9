//! What a stream must be to lose nothing.

use crate::settings::Retention;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use std::time::Duration;

/// What one bridge needs of a stream.
#[derive(Clone, Debug)]
pub struct Needs<'a> {
    /// It takes messages of this subject. `None`: the bridge does not publish into it.
    pub subject: Option<&'a str>,
    /// It has this retention; `None`: work-queue or limits.
    pub retention: Option<Retention>,
    /// It takes messages of so many bytes.
    pub message_bytes: usize,
}

/// What of a stream differs from what a bridge needs, in words: each with the reason. Empty: it can
/// be used.
pub fn differences(config: &Config, needs: &Needs<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut refuse = |is: bool, why: &str| {
        if is {
            found.push(why.to_owned());
        }
    };
    refuse(config.storage != StorageType::File, "its storage is memory, which a restart of the server empties: it must be file");
    refuse(
        config.discard != DiscardPolicy::New,
        "it discards old messages when it is full, and so loses them in silence: discard must be new",
    );
    refuse(config.max_age != Duration::ZERO, "it has an age limit, and so loses messages in silence: max age must be 0");
    refuse(
        config.max_messages_per_subject > 0 && !config.discard_new_per_subject,
        "it keeps the newest messages of a subject only, and so loses others in silence: max messages per subject must be unlimited",
    );
    refuse(config.no_ack, "it does not confirm what is published: no-ack must be off");
    refuse(config.sealed, "it is sealed, and takes no messages");
    refuse(config.mirror.is_some(), "it is a mirror of another stream, and takes no messages");
    refuse(
        config.sources.as_ref().is_some_and(|sources| !sources.is_empty()),
        "it has sources, whose messages come between those of the bridge",
    );
    refuse(config.subject_transform.is_some(), "it changes the subjects of its messages");
    let has = match config.retention {
        RetentionPolicy::WorkQueue => Some(Retention::WorkQueue),
        RetentionPolicy::Limits => Some(Retention::Limits),
        RetentionPolicy::Interest => None,
    };
    let words = |retention| if retention == Retention::WorkQueue { "work-queue" } else { "limits" };
    match (has, needs.retention) {
        (None, _) => {
            found.push("its retention is interest: what no consumer waits for is lost. It must be work-queue or limits".into())
        }
        (Some(has), Some(asked)) if has != asked => {
            found.push(format!("its retention is {}, and {} was asked for", words(has), words(asked)));
        }
        _ => {}
    }
    let is_taken = |subject: &&str| config.subjects.iter().any(|pattern| matches(pattern, subject));
    if let Some(subject) = needs.subject.filter(|subject| !is_taken(subject)) {
        found.push(format!("its subjects are {}, and the bridge publishes to {subject}", config.subjects.join(", ")));
    }
    if config.max_message_size > 0 && (config.max_message_size as usize) < needs.message_bytes {
        let (most, needed) = (config.max_message_size, needs.message_bytes);
        found.push(format!(
            "it takes messages of {most} bytes at most, and those of the queue may have {needed} with their headers"
        ));
    }
    found
}

/// Does a subject with `*` and `>` match another one without?
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for part in pattern.split('.') {
        match (part, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(token)) if part == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_match_as_the_server_matches_them() {
        assert!(matches("a.b", "a.b") && matches("a.*", "a.b") && matches("a.>", "a.b.c") && matches(">", "a"));
        assert!(!matches("a.b", "a") && !matches("a", "a.b") && !matches("a.*", "a") && !matches("a.>", "a"));
    }

    #[test]
    fn a_stream_that_would_lose_something_is_refused_for_each_reason() {
        let good = Config {
            subjects: vec!["jobs".into()],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            ..Config::default()
        };
        let needs = Needs { subject: Some("jobs"), retention: None, message_bytes: 1000 };
        assert_eq!(differences(&good, &needs), [""; 0]);
        type Spoil = fn(&mut Config);
        let bad: [(Spoil, &str); 9] = [
            (|config| config.storage = StorageType::Memory, "memory"),
            (|config| config.discard = DiscardPolicy::Old, "discards old"),
            (|config| config.max_age = Duration::from_secs(1), "age"),
            (|config| config.max_messages_per_subject = 1, "newest"),
            (|config| config.no_ack = true, "confirm"),
            (|config| config.sealed = true, "sealed"),
            (|config| config.retention = RetentionPolicy::Interest, "interest"),
            (|config| config.subjects = vec!["others".into()], "others"),
            (|config| config.max_message_size = 999, "999"),
        ];
        for (spoil, word) in bad {
            let mut config = good.clone();
            spoil(&mut config);
            let found = differences(&config, &needs);
            assert!(found.len() == 1 && found[0].contains(word), "{word}: {found:?}");
        }
        let asked = Needs { retention: Some(Retention::Limits), ..needs };
        assert!(differences(&good, &asked)[0].contains("limits was asked for"));
    }
}
