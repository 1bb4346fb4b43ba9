//! Links between the README and the guides: files that are there, and headings in them.

use std::fs;
use std::path::Path;

/// The guides, from the root of the repository.
pub fn guides(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect()
}

/// Links that lead nowhere.
pub fn broken(root: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    let mut found = 0;
    for page in guides(root).into_iter().chain(["README.md".to_owned(), "derive/README.md".to_owned()]) {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        for link in links(&text) {
            found += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root.join(&page) } else { root.join(&page).parent().unwrap().join(file) };
            if !target.exists() {
                broken.push(format!("{page}: {link} is not there"));
            } else if !heading.is_empty() && !headings(&fs::read_to_string(&target).unwrap()).any(|there| there == heading) {
                broken.push(format!("{page}: {link} is no heading there"));
            }
        }
    }
    assert!(found > 20, "{found} links were found");
    broken
}

/// What stands in `](...)`, but for other sites.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|link| !link.contains("://"))
}

/// Headings as links name them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}
